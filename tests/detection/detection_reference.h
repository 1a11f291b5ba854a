#pragma once

#include "image/reference.h"

namespace striate {

/// What tools/reference/detection.py wrote.
inline const Json& detection_reference() {
  static const Json json = read_json(Reference::folder() / "detection.json");
  return json;
}

}  // namespace striate
