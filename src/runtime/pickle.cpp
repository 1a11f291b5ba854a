#include "runtime/pickle.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <unordered_map>

namespace striate::pickle {

namespace {

// Values of one pickle, and items on its stack, in its memo and in copied lists. A published
// checkpoint of a thousand tensors makes some ten thousand.
constexpr size_t kMaximumValues = size_t{1} << 21;

enum class Meaning {
  kName,        // stands for itself and is never called
  kCall,        // its arguments are kept
  kFirst,       // a copy or a conversion: its first argument is the result
  kDictionary,  // an empty dictionary, or one of the pairs in its argument
};

struct KnownGlobal {
  std::string_view name;
  Meaning meaning;
};

constexpr std::array kGlobals{
    KnownGlobal{"torch._utils._rebuild_tensor_v2", Meaning::kCall},
    KnownGlobal{"torch._utils._rebuild_tensor", Meaning::kCall},
    KnownGlobal{"torch._utils._rebuild_parameter", Meaning::kCall},
    KnownGlobal{"torch.device", Meaning::kCall},
    KnownGlobal{"collections.OrderedDict", Meaning::kDictionary},
    KnownGlobal{"torch.Size", Meaning::kFirst},
    KnownGlobal{"_codecs.encode", Meaning::kCall},
    KnownGlobal{"__builtin__.set", Meaning::kFirst},
    KnownGlobal{"builtins.set", Meaning::kFirst},
    KnownGlobal{"torch.FloatStorage", Meaning::kName},
    KnownGlobal{"torch.DoubleStorage", Meaning::kName},
    KnownGlobal{"torch.HalfStorage", Meaning::kName},
    KnownGlobal{"torch.BFloat16Storage", Meaning::kName},
    KnownGlobal{"torch.LongStorage", Meaning::kName},
    KnownGlobal{"torch.IntStorage", Meaning::kName},
    KnownGlobal{"torch.ShortStorage", Meaning::kName},
    KnownGlobal{"torch.CharStorage", Meaning::kName},
    KnownGlobal{"torch.ByteStorage", Meaning::kName},
    KnownGlobal{"torch.BoolStorage", Meaning::kName},
    KnownGlobal{"torch.float16", Meaning::kName},
    KnownGlobal{"torch.bfloat16", Meaning::kName},
    KnownGlobal{"torch.float32", Meaning::kName},
    KnownGlobal{"torch.float64", Meaning::kName},
    KnownGlobal{"torch.int64", Meaning::kName},
};

class Reader {
 public:
  Reader(const WeightFile& file, ByteRange range)
      : file_(file), at_(range.begin), end_(range.end()) {}

  Document read();

 private:
  // Each takes the opcodes of one kind, and returns false for any other. Python's pickletools.py
  // lists the opcodes with their arguments.
  bool read_number(uint8_t opcode);
  bool read_text(uint8_t opcode);
  bool read_container(uint8_t opcode);
  bool read_items(uint8_t opcode);
  bool read_stack(uint8_t opcode);
  bool read_object(uint8_t opcode);

  template <class T>
  T number();
  std::string text(uint64_t size);
  std::string line();

  template <class T>
  void push_new(T content);
  void push(Value* value);
  Value* pop();
  Value* top();
  Items pop_mark();
  Items pop_items(size_t count);
  void charge(size_t items);
  template <class T>
  T& target();

  void remember(uint64_t index);
  void recall(uint64_t index);
  void push_long(uint64_t size);
  void append(const Items& items);
  void set_items(const Items& items);
  void push_global(const std::string& module, const std::string& name);
  void call();
  void build();

  FormatError error(const std::string& problem, const std::string& hint = {}) const {
    return file_.error(opcode_at_, "the pickle " + problem, hint);
  }

  const WeightFile& file_;
  uint64_t at_;
  uint64_t end_;
  uint64_t opcode_at_ = 0;
  size_t charged_ = 0;
  Document document_;
  std::vector<Value*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Value*> memo_;
};

Document Reader::read() {
  constexpr uint8_t kProtocol = 0x80;
  constexpr uint8_t kFrame = 0x95;
  while (true) {
    opcode_at_ = at_;
    const auto opcode = number<uint8_t>();
    if (opcode == '.') break;
    if (opcode == kProtocol) {
      const auto protocol = number<uint8_t>();
      if (protocol < 2 || protocol > 5) throw error(fmt::format("has protocol {}", protocol));
    } else if (opcode == kFrame) {
      number<uint64_t>();
    } else if (!read_number(opcode) && !read_text(opcode) && !read_container(opcode) &&
               !read_items(opcode) && !read_stack(opcode) && !read_object(opcode)) {
      throw error(fmt::format("has the opcode 0x{:02x}, which weight files don't need", opcode));
    }
  }
  document_.root = pop();
  document_.end = at_;
  return std::move(document_);
}

bool Reader::read_number(uint8_t opcode) {
  switch (opcode) {
    case 'N':
      push_new(None{});
      return true;
    case 0x88:
      push_new(true);
      return true;
    case 0x89:
      push_new(false);
      return true;
    case 'J':
      push_new(int64_t{number<int32_t>()});
      return true;
    case 'K':
      push_new(int64_t{number<uint8_t>()});
      return true;
    case 'M':
      push_new(int64_t{number<uint16_t>()});
      return true;
    case 0x8a:
      push_long(number<uint8_t>());
      return true;
    case 0x8b:
      push_long(number<uint32_t>());
      return true;
    case 'G':
      push_new(std::bit_cast<double>(__builtin_bswap64(number<uint64_t>())));
      return true;
    default:
      return false;
  }
}

bool Reader::read_text(uint8_t opcode) {
  switch (opcode) {
    case 'U':
    case 0x8c:
      push_new(text(number<uint8_t>()));
      return true;
    case 'X':
    case 'T':
      push_new(text(number<uint32_t>()));
      return true;
    case 0x8d:
      push_new(text(number<uint64_t>()));
      return true;
    case 'C':
      push_new(Bytes{text(number<uint8_t>())});
      return true;
    case 'B':
      push_new(Bytes{text(number<uint32_t>())});
      return true;
    case 0x8e:
    case 0x96:
      push_new(Bytes{text(number<uint64_t>())});
      return true;
    default:
      return false;
  }
}

bool Reader::read_container(uint8_t opcode) {
  switch (opcode) {
    case ']':
    case 0x8f:
      push_new(List{});
      return true;
    case '}':
      push_new(Dict{});
      return true;
    case ')':
      push_new(Tuple{});
      return true;
    case '(':
      charge(1);
      marks_.push_back(stack_.size());
      return true;
    case 't':
      push_new(Tuple{pop_mark()});
      return true;
    case 0x85:
    case 0x86:
    case 0x87:
      push_new(Tuple{pop_items(opcode - 0x84)});
      return true;
    case 'l':
    case 0x91:
      push_new(List{pop_mark()});
      return true;
    case 'd': {
      const Items items = pop_mark();
      push_new(Dict{});
      set_items(items);
      return true;
    }
    default:
      return false;
  }
}

bool Reader::read_items(uint8_t opcode) {
  switch (opcode) {
    case 'a':
      append(pop_items(1));
      return true;
    case 'e':
    case 0x90:
      append(pop_mark());
      return true;
    case 's':
      set_items(pop_items(2));
      return true;
    case 'u':
      set_items(pop_mark());
      return true;
    default:
      return false;
  }
}

bool Reader::read_stack(uint8_t opcode) {
  switch (opcode) {
    case 'q':
      remember(number<uint8_t>());
      return true;
    case 'r':
      remember(number<uint32_t>());
      return true;
    case 0x94:
      remember(memo_.size());
      return true;
    case 'h':
      recall(number<uint8_t>());
      return true;
    case 'j':
      recall(number<uint32_t>());
      return true;
    case '0':
      pop();
      return true;
    case '1':
      pop_mark();
      return true;
    case '2':
      push(top());
      return true;
    default:
      return false;
  }
}

bool Reader::read_object(uint8_t opcode) {
  switch (opcode) {
    case 'c': {
      const std::string module = line();
      push_global(module, line());
      return true;
    }
    case 0x93: {
      const Items names = pop_items(2);
      const auto* module = as<std::string>(names[0]);
      const auto* name = as<std::string>(names[1]);
      if (module == nullptr || name == nullptr) throw error("names a global by something else");
      push_global(*module, *name);
      return true;
    }
    case 'R':
      call();
      return true;
    case 'b':
      build();
      return true;
    case 'Q':
      push_new(Persistent{pop()});
      document_.persistent.push_back(top());
      return true;
    default:
      return false;
  }
}

template <class T>
T Reader::number() {
  if (end_ - at_ < sizeof(T)) throw error("is cut off", "the file is incomplete");
  const T value = number_at<T>(file_, at_);
  at_ += sizeof(T);
  return value;
}

std::string Reader::text(uint64_t size) {
  if (size > end_ - at_) {
    throw error(fmt::format("has a text of {} bytes where {} are left", size, end_ - at_));
  }
  const auto* first = reinterpret_cast<const char*>(file_.bytes().data() + at_);
  at_ += size;
  return {first, size};
}

std::string Reader::line() {
  std::string result;
  while (true) {
    const auto character = number<char>();
    if (character == '\n') return result;
    result += character;
  }
}

void Reader::charge(size_t items) {
  charged_ += items;
  if (charged_ > kMaximumValues) {
    throw error(fmt::format("has more than {} values", kMaximumValues));
  }
}

template <class T>
void Reader::push_new(T content) {
  document_.values.push_back({.byte = opcode_at_, .content = std::move(content)});
  push(&document_.values.back());
}

void Reader::push(Value* value) {
  charge(1);
  stack_.push_back(value);
}

Value* Reader::top() {
  if (stack_.size() == (marks_.empty() ? 0 : marks_.back())) throw error("takes from nothing");
  return stack_.back();
}

Value* Reader::pop() {
  Value* value = top();
  stack_.pop_back();
  return value;
}

Items Reader::pop_items(size_t count) {
  if (stack_.size() - (marks_.empty() ? 0 : marks_.back()) < count) {
    throw error("takes from nothing");
  }
  Items items(stack_.end() - static_cast<ptrdiff_t>(count), stack_.end());
  stack_.resize(stack_.size() - count);
  return items;
}

Items Reader::pop_mark() {
  if (marks_.empty()) throw error("closes a list that it did not open");
  Items items = pop_items(stack_.size() - marks_.back());
  marks_.pop_back();
  return items;
}

void Reader::remember(uint64_t index) {
  charge(1);
  memo_[index] = top();
}

void Reader::recall(uint64_t index) {
  const auto found = memo_.find(index);
  if (found == memo_.end()) throw error(fmt::format("recalls value {}, which is none", index));
  push(found->second);
}

void Reader::push_long(uint64_t size) {
  std::string bytes = text(size);
  if (size > sizeof(int64_t)) return push_new(Long{std::move(bytes)});
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  if (size > 0 && size < 8 && (bytes.back() & 0x80) != 0) value |= ~uint64_t{0} << (8 * size);
  push_new(static_cast<int64_t>(value));
}

template <class T>
T& Reader::target() {
  T* value = std::get_if<T>(&top()->content);
  if (value == nullptr) throw error("adds items to something that has none");
  return *value;
}

void Reader::append(const Items& items) {
  Items& list = target<List>().items;
  list.insert(list.end(), items.begin(), items.end());
}

void Reader::set_items(const Items& items) {
  auto& pairs = target<Dict>().items;
  if (items.size() % 2 != 0) throw error("has a key without a value");
  for (size_t i = 0; i < items.size(); i += 2) pairs.emplace_back(items[i], items[i + 1]);
}

void Reader::push_global(const std::string& module, const std::string& name) {
  const std::string full = module + "." + name;
  for (const KnownGlobal& known : kGlobals) {
    if (known.name == full) return push_new(Global{known.name});
  }
  throw error(fmt::format("names {}, which is not among what weight files need", in_quotes(full)),
              "in Python, save only the tensors: torch.save(model.state_dict(), path)");
}

Meaning meaning_of(const Global& global) {
  for (const KnownGlobal& known : kGlobals) {
    if (known.name == global.name) return known.meaning;
  }
  return Meaning::kName;
}

void Reader::call() {
  const auto* arguments = as<Tuple>(pop());
  const auto* function = as<Global>(pop());
  if (arguments == nullptr || function == nullptr) throw error("calls something else than a name");
  const Items& items = arguments->items;
  switch (meaning_of(*function)) {
    case Meaning::kName:
      throw error(fmt::format("calls {}", function->name));
    case Meaning::kCall:
      return push_new(Call{function->name, &items});
    case Meaning::kFirst:
      if (items.empty()) return push_new(List{});
      return push(items[0]);
    case Meaning::kDictionary:
      push_new(Dict{});
      if (items.empty()) return;
      const auto* pairs = as<List>(items[0]);
      if (pairs == nullptr) throw error("makes a dictionary of something else than pairs");
      charge(pairs->items.size());
      for (const Value* pair : pairs->items) {
        const Items* key_and_value = nullptr;
        if (const auto* list = as<List>(pair)) key_and_value = &list->items;
        if (const auto* tuple = as<Tuple>(pair)) key_and_value = &tuple->items;
        if (key_and_value == nullptr || key_and_value->size() != 2) {
          throw error("makes a dictionary of something else than pairs");
        }
        set_items(*key_and_value);
      }
  }
}

// A dictionary's attributes (`_metadata` of a state dictionary) are of no use here.
void Reader::build() {
  pop();
  target<Dict>();
}

}  // namespace

Document read(const WeightFile& file, ByteRange range) {
  return Reader(file, range).read();
}

}  // namespace striate::pickle
