#include "runtime/safetensors.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <tuple>

namespace striate {

namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaximumHeaderBytes = 100'000'000;
const char* const kMetadataName = "__metadata__";

struct DtypeName {
  const char* name;
  at::ScalarType dtype;
};

// In the order by which the format's own library sorts tensors when it writes, last first: elements
// of falling size, so that all are aligned.
constexpr std::array kDtypes{
    DtypeName{"BOOL", at::kBool}, DtypeName{"U8", at::kByte},   DtypeName{"I8", at::kChar},
    DtypeName{"I16", at::kShort}, DtypeName{"F16", at::kHalf},  DtypeName{"BF16", at::kBFloat16},
    DtypeName{"I32", at::kInt},   DtypeName{"F32", at::kFloat}, DtypeName{"F64", at::kDouble},
    DtypeName{"I64", at::kLong},
};

struct TensorEntry {
  std::string name;
  uint64_t byte = 0;  // of its description
  std::string dtype_name;
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
  std::vector<uint64_t> offsets;
  std::set<std::string> fields;
};

// Counts the characters that a parser has taken.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, uint64_t* count) : at_(at), count_(count) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*count_;
    return *this;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }
  bool operator!=(const CountingIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  uint64_t* count_;
};

// Takes the header as the parser meets it: no tree is built, so neither depth nor size can hurt.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const WeightFile& file) : file_(file) {}

  std::vector<TensorEntry> entries;
  std::map<std::string, std::string> metadata;
  uint64_t taken = 0;  // bytes of the header

  bool null() override { throw misplaced("null"); }
  bool boolean(bool) override { throw misplaced("a boolean"); }
  bool number_integer(number_integer_t) override { throw misplaced("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { throw misplaced("a fraction"); }
  bool binary(binary_t&) override { throw misplaced("binary data"); }
  bool number_unsigned(number_unsigned_t value) override;
  bool string(string_t& value) override;
  bool start_object(size_t) override;
  bool key(string_t& name) override;
  bool end_object() override;
  bool start_array(size_t) override;
  bool end_array() override;
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    throw file_.error(kLengthBytes + position, "the header is not JSON");
  }

 private:
  enum class Level { kFile, kNames, kMetadata, kTensor, kNumbers };

  uint64_t byte() const { return kLengthBytes + taken; }
  FormatError wrong(const std::string& what) const {
    return file_.error(byte(),
                       fmt::format("{} has {}", place_.empty() ? "the header" : place_, what));
  }
  FormatError misplaced(const std::string& what) const {
    return wrong(what + " where none belongs");
  }

  const WeightFile& file_;
  Level level_ = Level::kFile;
  std::string place_;  // what is being read, for messages
  std::string field_;  // of a tensor or of the metadata
  std::set<std::string> names_;
};

bool HeaderReader::number_unsigned(number_unsigned_t value) {
  if (level_ != Level::kNumbers) throw misplaced("a number");
  TensorEntry& entry = entries.back();
  if (field_ == "data_offsets") {
    if (entry.offsets.size() == 2) throw wrong("a third offset");
    entry.offsets.push_back(value);
    return true;
  }
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    throw wrong("a size above 2^63");
  }
  if (entry.shape.size() == kMaximumRank) throw wrong("more than 64 dimensions");
  entry.shape.push_back(static_cast<int64_t>(value));
  return true;
}

bool HeaderReader::string(string_t& value) {
  if (level_ == Level::kMetadata) {
    if (!metadata.emplace(field_, value).second) throw wrong("a key twice");
  } else if (level_ == Level::kTensor && field_ == "dtype") {
    entries.back().dtype_name = value;
  } else {
    throw misplaced("a text");
  }
  return true;
}

bool HeaderReader::start_object(size_t) {
  if (level_ == Level::kFile) {
    level_ = Level::kNames;
  } else if (level_ == Level::kNames) {
    level_ = field_ == kMetadataName ? Level::kMetadata : Level::kTensor;
    if (level_ == Level::kTensor) entries.push_back({.name = field_, .byte = byte()});
    if (entries.size() > kMaximumTensors) {
      throw file_.error(byte(), fmt::format("has more than {} tensors", kMaximumTensors));
    }
  } else {
    throw misplaced("an object");
  }
  return true;
}

bool HeaderReader::key(string_t& name) {
  field_ = name;
  if (level_ == Level::kNames) {
    place_ = name == kMetadataName ? name : "tensor " + in_quotes(name);
    if (!names_.insert(name).second) {
      throw file_.error(byte(), place_ + " occurs twice");
    }
  } else if (level_ == Level::kTensor) {
    if (name != "dtype" && name != "shape" && name != "data_offsets") {
      throw wrong("the unknown field " + in_quotes(name));
    }
    if (!entries.back().fields.insert(name).second) throw wrong("a field twice");
  }
  return true;
}

bool HeaderReader::end_object() {
  if (level_ == Level::kTensor) {
    TensorEntry& entry = entries.back();
    if (entry.fields.size() != 3) throw wrong("no dtype, no shape or no data_offsets");
    if (entry.offsets.size() != 2) throw wrong("fewer than two offsets");
    entry.fields.clear();
  }
  level_ = level_ == Level::kNames ? Level::kFile : Level::kNames;
  place_.clear();
  return true;
}

bool HeaderReader::start_array(size_t) {
  if (level_ != Level::kTensor || field_ == "dtype") throw misplaced("a list");
  level_ = Level::kNumbers;
  return true;
}

bool HeaderReader::end_array() {
  level_ = Level::kTensor;
  return true;
}

uint64_t read_header(const WeightFile& file, HeaderReader& header) {
  const uint64_t size = file.bytes().size();
  if (size < kLengthBytes) throw file.error(size, "ends before the header's length");
  const auto length = number_at<uint64_t>(file, 0);
  if (length > kMaximumHeaderBytes || length > size - kLengthBytes) {
    throw file.error(0,
                     fmt::format("says that its header has {} bytes, but the file has {} after "
                                 "the length and a header at most {}",
                                 length, size - kLengthBytes, kMaximumHeaderBytes),
                     "the file is cut off, or is not a safetensors file");
  }
  const char* text = reinterpret_cast<const char*>(file.bytes().data()) + kLengthBytes;
  if (length == 0 || text[0] != '{') throw file.error(kLengthBytes, "the header is no JSON object");
  uint64_t ignored = 0;
  nlohmann::json::sax_parse(CountingIterator(text, &header.taken),
                            CountingIterator(text + length, &ignored), &header);
  // The parser takes a zero byte for the end.
  if (header.taken != length) {
    throw file.error(kLengthBytes + header.taken, "the header has more after its end");
  }
  return kLengthBytes + length;
}

uint64_t checked_size_bytes(const WeightFile& file, const TensorEntry& entry) {
  uint64_t elements = 1;
  bool empty = false;
  for (const int64_t size : entry.shape) {
    empty = empty || size == 0;
    if (__builtin_mul_overflow(elements, std::max<int64_t>(size, 1), &elements)) {
      elements = std::numeric_limits<uint64_t>::max();
    }
  }
  if (elements > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()) / 16) {
    throw file.error(entry.byte, fmt::format("tensor {} is too large", in_quotes(entry.name)));
  }
  return empty ? 0 : elements * c10::elementSize(entry.dtype);
}

void find_dtype(const WeightFile& file, TensorEntry& entry) {
  for (const DtypeName& known : kDtypes) {
    if (entry.dtype_name != known.name) continue;
    entry.dtype = known.dtype;
    return;
  }
  throw file.error(entry.byte,
                   fmt::format("tensor {} has the type {}, which Striate doesn't read",
                               in_quotes(entry.name), in_quotes(entry.dtype_name)),
                   "it reads BOOL, U8, I8, I16, I32, I64, F16, BF16, F32 and F64");
}

// The data of the tensors must follow each other and cover all of the file.
void check_entries(const WeightFile& file, std::vector<TensorEntry>& entries, uint64_t data_begin) {
  std::sort(entries.begin(), entries.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.offsets < b.offsets; });
  const uint64_t data_bytes = file.bytes().size() - data_begin;
  uint64_t covered = 0;
  for (TensorEntry& entry : entries) {
    find_dtype(file, entry);
    const uint64_t begin = entry.offsets[0];
    const uint64_t end = entry.offsets[1];
    const std::string where =
        fmt::format("tensor {} has the data offsets {} to {}", in_quotes(entry.name), begin, end);
    if (begin > end || end > data_bytes) {
      throw file.error(entry.byte, fmt::format("{}, but there are {} bytes", where, data_bytes),
                       end > data_bytes ? "the file is cut off" : "");
    }
    if (begin != covered) {
      throw file.error(data_begin + begin,
                       fmt::format("{}, but the data before ends at {}", where, covered));
    }
    if (const uint64_t wanted = checked_size_bytes(file, entry); end - begin != wanted) {
      throw file.error(entry.byte, fmt::format("{}, but its shape needs {} bytes", where, wanted));
    }
    covered = end;
  }
  if (covered != data_bytes) {
    throw file.error(data_begin + covered,
                     fmt::format("{} bytes follow the last tensor's data", data_bytes - covered));
  }
}

struct Written {
  size_t dtype_rank = 0;
  std::string name;
  at::Tensor tensor;
};

std::vector<Written> order_for_writing(const Weights& weights) {
  std::vector<Written> order;
  for (const auto& [name, tensor] : weights.tensors) {
    const std::string what = fmt::format("tensor {}", in_quotes(name));
    if (name == kMetadataName || !is_utf8(name)) {
      throw std::invalid_argument(what + " can't have that name in a safetensors file");
    }
    if (!tensor.defined() || tensor.layout() != at::kStrided) {
      throw std::invalid_argument(what + " is undefined or not dense");
    }
    size_t rank = 0;
    while (rank < kDtypes.size() && kDtypes[rank].dtype != tensor.scalar_type()) ++rank;
    if (rank == kDtypes.size()) {
      throw std::invalid_argument(fmt::format("{} has the type {}, which can't be written", what,
                                              c10::toString(tensor.scalar_type())));
    }
    order.push_back({.dtype_rank = rank, .name = name, .tensor = tensor});
  }
  std::sort(order.begin(), order.end(), [](const Written& a, const Written& b) {
    return std::tie(b.dtype_rank, a.name) < std::tie(a.dtype_rank, b.name);
  });
  return order;
}

std::string json_text(const std::string& text) {
  if (!is_utf8(text)) throw std::invalid_argument(in_quotes(text) + " is not UTF-8");
  return nlohmann::json(text).dump();
}

std::string make_header(const Weights& weights, const std::vector<Written>& order) {
  std::string header = "{";
  const auto separate = [&] {
    if (header.size() > 1) header += ',';
  };
  if (!weights.metadata.empty()) {
    header += fmt::format("\"{}\":", kMetadataName);
    char before = '{';
    for (const auto& [key, text] : weights.metadata) {
      header += fmt::format("{}{}:{}", before, json_text(key), json_text(text));
      before = ',';
    }
    header += '}';
  }
  uint64_t offset = 0;
  for (const Written& entry : order) {
    const uint64_t end = offset + entry.tensor.numel() * entry.tensor.element_size();
    separate();
    header += fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                          json_text(entry.name), kDtypes[entry.dtype_rank].name,
                          fmt::join(entry.tensor.sizes(), ","), offset, end);
    offset = end;
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  if (header.size() > kMaximumHeaderBytes) {
    throw std::invalid_argument("the names and texts are too long for a safetensors header");
  }
  return header;
}

}  // namespace

Weights read_safetensors(const WeightFile& file) {
  HeaderReader header(file);
  const uint64_t data_begin = read_header(file, header);
  check_entries(file, header.entries, data_begin);
  Weights weights{.metadata = std::move(header.metadata)};
  for (const TensorEntry& entry : header.entries) {
    const ByteRange range{.begin = data_begin + entry.offsets[0],
                          .size = entry.offsets[1] - entry.offsets[0]};
    weights.tensors[entry.name] = view_storage(
        map_storage(file, range, entry.dtype),
        {.dtype = entry.dtype, .sizes = entry.shape, .strides = contiguous_strides(entry.shape)});
  }
  return weights;
}

void write_safetensors(const Weights& weights, const std::filesystem::path& path) {
  const std::vector<Written> order = order_for_writing(weights);
  const std::string header = make_header(weights, order);
  write_file_atomically(path, [&](const Append& append) {
    const uint64_t length = header.size();
    append({reinterpret_cast<const uint8_t*>(&length), kLengthBytes});
    append({reinterpret_cast<const uint8_t*>(header.data()), header.size()});
    for (const Written& entry : order) {
      const at::Tensor data = entry.tensor.detach().to(at::kCPU).contiguous();
      append({static_cast<const uint8_t*>(data.const_data_ptr()),
              static_cast<size_t>(data.numel()) * data.element_size()});
    }
  });
}

}  // namespace striate
