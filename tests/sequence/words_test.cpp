#include "striate/sequence/words.h"

#include <gtest/gtest.h>
