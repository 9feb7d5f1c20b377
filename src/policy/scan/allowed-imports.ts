// The imports a checkpoint needs and that run no foreign code, each group with its reason; depends on nothing.

interface Group {
  readonly why: string;
  readonly modules: readonly string[];
  readonly names: readonly string[];
}

/**
 * Exact pairs of module and name. A name with a dot is never allowed: it is looked up attribute by attribute and reaches
 * anything (`OrderedDict.__init__.__globals__`). What PyTorch's own `weights_only` loader refuses is not here either.
 */
const GROUPS: readonly Group[] = [
  {
    why: "containers and numbers of the language: their constructors store what they are given",
    modules: ["builtins", "__builtin__"],
    names: [
      "set",
      "frozenset",
      "dict",
      "list",
      "tuple",
      "int",
      "float",
      "complex",
      "bool",
      "str",
      "bytes",
      "bytearray",
      "object",
      "slice",
      "range",
    ],
  },
  {
    why: "containers; a default factory must itself be an import and is judged as one",
    modules: ["collections"],
    names: ["OrderedDict", "defaultdict", "Counter", "deque"],
  },
  {
    why: "how protocols 0 to 2 spell object creation and bytes; the class to create is judged by itself",
    modules: ["copyreg", "copy_reg"],
    names: ["_reconstructor"],
  },
  { why: "how protocol 2 spells bytes", modules: ["_codecs"], names: ["encode"] },
  {
    why: "values",
    modules: ["datetime"],
    names: ["date", "datetime", "time", "timedelta", "timezone"],
  },
  { why: "values", modules: ["decimal"], names: ["Decimal"] },
  {
    why: "arrays and scalars from bytes; arrays of Python objects carry their objects in the same opcodes",
    modules: ["numpy.core.multiarray", "numpy._core.multiarray"],
    names: ["_reconstruct", "scalar"],
  },
  {
    why: "arrays from buffers",
    modules: ["numpy.core.numeric", "numpy._core.numeric"],
    names: ["_frombuffer"],
  },
  {
    why: "array and number types",
    modules: ["numpy"],
    names: [
      "ndarray",
      "dtype",
      "bool_",
      "int8",
      "int16",
      "int32",
      "int64",
      "uint8",
      "uint16",
      "uint32",
      "uint64",
      "float16",
      "float32",
      "float64",
      "complex64",
      "complex128",
    ],
  },
  {
    why: "says where an array's bytes lie in a joblib file; the scan skips them",
    modules: ["joblib.numpy_pickle"],
    names: ["NumpyArrayWrapper"],
  },
  {
    why: "tensors from storages",
    modules: ["torch._utils"],
    names: [
      "_rebuild_tensor",
      "_rebuild_tensor_v2",
      "_rebuild_tensor_v3",
      "_rebuild_parameter",
      "_rebuild_parameter_with_state",
      "_rebuild_qtensor",
      "_rebuild_sparse_tensor",
      "_rebuild_sparse_csr_tensor",
      "_rebuild_nested_tensor",
      "_rebuild_meta_tensor_no_storage",
      "_rebuild_device_tensor_from_numpy",
    ],
  },
  {
    why: "a tensor of a subclass; function and class are judged by themselves",
    modules: ["torch._tensor"],
    names: ["_rebuild_from_type_v2"],
  },
  { why: "a wrapped tensor", modules: ["torch.nn.parameter"], names: ["Parameter", "Buffer"] },
  { why: "a constant by its name", modules: ["torch.serialization"], names: ["_get_layout"] },
  {
    why: "untyped bytes; not _load_from_bytes, which unpickles",
    modules: ["torch.storage"],
    names: ["UntypedStorage", "TypedStorage"],
  },
  {
    why: "types, shapes, devices and typed storages",
    modules: ["torch"],
    names: [
      "Size",
      "device",
      "Tensor",
      "per_tensor_affine",
      "per_channel_affine",
      "float16",
      "float32",
      "float64",
      "bfloat16",
      "float8_e4m3fn",
      "float8_e5m2",
      "uint8",
      "int8",
      "int16",
      "int32",
      "int64",
      "bool",
      "complex64",
      "complex128",
      "qint8",
      "quint8",
      "qint32",
      "FloatStorage",
      "DoubleStorage",
      "HalfStorage",
      "BFloat16Storage",
      "LongStorage",
      "IntStorage",
      "ShortStorage",
      "CharStorage",
      "ByteStorage",
      "BoolStorage",
      "ComplexFloatStorage",
      "ComplexDoubleStorage",
      "QInt8Storage",
      "QUInt8Storage",
      "QInt32Storage",
    ],
  },
];

const ALLOWED: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  GROUPS.flatMap(({ modules, names }) => modules.map((module) => [module, new Set(names)] as const)),
);

/** Every pair of the list as `module` and `name`, for documentation and tests. */
export const allowedImports = (): { module: string; name: string; why: string }[] =>
  GROUPS.flatMap(({ why, modules, names }) =>
    modules.flatMap((module) => names.map((name) => ({ module, name, why }))),
  );

// Modules whose functions run code, start programs, open files or sockets, or load further pickles.
const KNOWN_TO_RUN_CODE =
  /^(os|posix|nt|posixpath|ntpath|sys|subprocess|builtins|__builtin__|runpy|importlib|imp|pty|socket|shutil|commands|webbrowser|ctypes|_ctypes|pickle|_pickle|cPickle|dill|cloudpickle|joblib|operator|_operator|functools|types|inspect|bdb|pdb|pydoc|timeit|profile|cProfile|trace|code|codeop|asyncio|multiprocessing|concurrent|threading|_thread|pip|ensurepip|venv|ssl|http|httplib|urllib|urllib2|requests|aiohttp|ftplib|smtplib|telnetlib|tempfile|io|_io|codecs|zipimport|pkgutil|site|idlelib|lib2to3|distutils|setuptools|doctest|unittest|logging|signal|platform|getpass|uuid|linecache|numpy\.testing|numpy\.f2py|numpy\.distutils|torch\.hub|torch\.jit|torch\.serialization|torch\.storage|torch\._dynamo|torch\._inductor|torch\.utils|torch)(\.|$)/;

export type Verdict = "allowed" | "runs code" | "not on the list";

/** What is known of an import. @param extra pairs `module.name` the user vouches for */
export function judgeImport(module: string, name: string, extra: ReadonlySet<string>): Verdict {
  if (ALLOWED.get(module)?.has(name) === true) return "allowed";
  if (extra.has(`${module}.${name}`) && !name.includes(".")) return "allowed";
  return KNOWN_TO_RUN_CODE.test(module) ? "runs code" : "not on the list";
}
