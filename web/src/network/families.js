// What a node's colour says: the family of its operator.
const families = [
  ['convolution', /conv/i],
  ['linear', /linear|gemm|matmul|dense/i],
  ['normalisation', /norm|lrn|localresponse/i],
  ['activation', /relu|sigmoid|tanh|softmax|elu|gelu|swish|hardtanh/i],
  ['pooling', /pool/i],
  ['joining', /add|concat|cat|mul|mean|fractal|join|pad|slice/i],
];

export const familyNames = families.map(([name]) => name);

export function familyOf(type) {
  return families.find(([, pattern]) => pattern.test(type))?.[0] ?? 'other';
}
