"""A vector of LANES float32 as a Numba value, so that a kernel says what is computed and runs on the widest registers.

`load`, `store`, `splat` and arithmetic work in any kernel. One source gives 16 lanes
with AVX-512, 8 with AVX2 and 4 with NEON or SSE; TINYNET_LANES in the environment overrides that (for tests).

Functions of a vector (functions.py) are written once as Python on `Value`, a symbolic vector whose operators emit LLVM
instructions, and made usable in kernels by `@elementwise`: that compiles ten times faster than letting Numba infer types through a
polynomial.
"""

from __future__ import annotations

import inspect
import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

from .environment import LANES

FLOAT = ir.FloatType()
INT = ir.IntType(32)
INTP = ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
INTS = ir.VectorType(INT, LANES)
BYTES = ir.VectorType(ir.IntType(8), LANES)
MASK = ir.VectorType(ir.IntType(1), LANES)


class VectorType(types.Type):
    """The Numba type of a vector."""

    def __init__(self):
        super().__init__(name=f"float32x{LANES}")


vector = VectorType()


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, numba_type):
        super().__init__(manager, numba_type, VECTOR)


def constant(x: float) -> ir.Constant:
    """A vector of LANES times x."""
    return ir.Constant(VECTOR, [ir.Constant(FLOAT, x)] * LANES)


def broadcast(builder, x):
    """A vector of LANES times the float value x."""
    first = builder.insert_element(ir.Constant(VECTOR, ir.Undefined), x, INT(0))
    return builder.shuffle_vector(first, ir.Constant(VECTOR, ir.Undefined), ir.Constant(INTS, [0] * LANES))


def address(context, builder, array_type, array, index):
    """Pointer to element `index` of an array's memory, whatever its shape."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def load_at(builder, pointer):
    """The vector at a float pointer."""
    return builder.load(builder.bitcast(pointer, VECTOR.as_pointer()), align=4)


def store_at(builder, value, pointer) -> None:
    """Write a vector at a float pointer."""
    builder.store(value, builder.bitcast(pointer, VECTOR.as_pointer()), align=4)


def first_lanes(builder, count):
    """The mask of lanes 0 … count - 1; count is an INTP of any sign."""
    lanes = ir.Constant(ir.VectorType(INTP, LANES), list(range(LANES)))
    undefined = ir.Constant(ir.VectorType(INTP, LANES), ir.Undefined)
    counts = builder.shuffle_vector(
        builder.insert_element(undefined, count, INT(0)), undefined, ir.Constant(INTS, [0] * LANES)
    )
    return builder.icmp_signed("<", lanes, counts)


def masked_load_at(builder, pointer, mask, kind=VECTOR):
    """The lanes of a mask from memory, zero elsewhere; memory outside the mask is not touched."""
    zero = ir.Constant(kind, [ir.Constant(kind.element, 0)] * LANES)
    signature = ir.FunctionType(kind, [kind.as_pointer(), INT, MASK, kind])
    name = f"llvm.masked.load.v{LANES}{_short(kind)}.p0v{LANES}{_short(kind)}"
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    return builder.call(function, [builder.bitcast(pointer, kind.as_pointer()), INT(1), mask, zero])


def masked_store_at(builder, value, pointer, mask) -> None:
    """Write the lanes of a mask; memory outside the mask is not touched."""
    kind = value.type
    signature = ir.FunctionType(ir.VoidType(), [kind, kind.as_pointer(), INT, MASK])
    name = f"llvm.masked.store.v{LANES}{_short(kind)}.p0v{LANES}{_short(kind)}"
    function = cgutils.get_or_insert_function(builder.module, signature, name)
    builder.call(function, [value, builder.bitcast(pointer, kind.as_pointer()), INT(1), mask])


def _short(kind) -> str:
    """f32 or i8, as LLVM's intrinsics are named."""
    return "f32" if kind.element == FLOAT else "i8"


def call(builder, name: str, *values):
    """An LLVM intrinsic of vectors, `llvm.<name>`."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * len(values))
    return builder.call(
        cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32"), values
    )


# --- memory ---------------------------------------------------------------------------------------------------------


@intrinsic
def load(typing_context, array, index):
    """The LANES elements from `index` on."""

    def generate(context, builder, signature, values):
        return load_at(builder, address(context, builder, signature.args[0], *values))

    return vector(array, types.intp), generate


@intrinsic
def store(typing_context, array, index, value):
    """Write a vector from element `index` on."""

    def generate(context, builder, signature, values):
        store_at(builder, values[2], address(context, builder, signature.args[0], *values[:2]))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), generate


@intrinsic
def load_until(typing_context, array, index, stop):
    """The elements from `index` on, zero from `stop` on (where memory is not read)."""

    def generate(context, builder, signature, values):
        pointer = address(context, builder, signature.args[0], *values[:2])
        left = builder.sub(values[2], values[1])
        result = cgutils.alloca_once(builder, VECTOR)
        with builder.if_else(builder.icmp_signed(">=", left, INTP(LANES)), likely=True) as (whole, part):
            with whole:
                builder.store(load_at(builder, pointer), result)
            with part:
                builder.store(masked_load_at(builder, pointer, first_lanes(builder, left)), result)
        return builder.load(result)

    return vector(array, types.intp, types.intp), generate


@intrinsic
def store_until(typing_context, array, index, stop, value):
    """Write a vector from element `index` on, nothing from `stop` on."""

    def generate(context, builder, signature, values):
        pointer = address(context, builder, signature.args[0], *values[:2])
        left = builder.sub(values[2], values[1])
        with builder.if_else(builder.icmp_signed(">=", left, INTP(LANES)), likely=True) as (whole, part):
            with whole:
                store_at(builder, values[3], pointer)
            with part:
                masked_store_at(builder, values[3], pointer, first_lanes(builder, left))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), generate


@intrinsic
def load_bytes_until(typing_context, array, index, stop):
    """As `load_until` from an array of uint8."""

    def generate(context, builder, signature, values):
        pointer = address(context, builder, signature.args[0], *values[:2])
        mask = first_lanes(builder, builder.sub(values[2], values[1]))
        return builder.uitofp(masked_load_at(builder, pointer, mask, BYTES), VECTOR)

    return vector(array, types.intp, types.intp), generate


@intrinsic
def store_bytes_until(typing_context, array, index, stop, value):
    """As `store_until` of whole numbers from 0 to 255 into an array of uint8."""

    def generate(context, builder, signature, values):
        pointer = address(context, builder, signature.args[0], *values[:2])
        mask = first_lanes(builder, builder.sub(values[2], values[1]))
        masked_store_at(builder, builder.fptoui(values[3], BYTES), pointer, mask)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, vector), generate


@intrinsic
def transpose(typing_context, x, first, line, y, out, out_line):
    """y[out + i · out_line + j] = x[first + j · line + i] for i, j < LANES."""

    def generate(context, builder, signature, values):
        _, first, line, _, out, out_line = values
        source = address(context, builder, signature.args[0], values[0], first)
        target = address(context, builder, signature.args[3], values[3], out)
        rows = [load_at(builder, builder.gep(source, [builder.mul(line, INTP(j))])) for j in range(LANES)]
        half = LANES // 2
        halves = [
            ir.Constant(INTS, [k // 2 + LANES * (k % 2) for k in range(begin, begin + LANES)])
            for begin in (0, LANES)
        ]
        for _ in range(
            LANES.bit_length() - 1
        ):  # each round interleaves the first half of the rows with the second
            pairs = zip(rows[:half], rows[half:], strict=True)
            rows = [builder.shuffle_vector(*pair, order) for pair in pairs for order in halves]
        for i, row in enumerate(rows):
            store_at(builder, row, builder.gep(target, [builder.mul(out_line, INTP(i))]))
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, y, types.intp, types.intp), generate


@intrinsic
def splat(typing_context, x):
    """LANES times the number x."""

    def generate(context, builder, signature, values):
        return broadcast(builder, context.cast(builder, values[0], signature.args[0], types.float32))

    return vector(x), generate


@intrinsic
def zero_from(typing_context, x, count):
    """The first `count` lanes of x, zero in the others."""

    def generate(context, builder, signature, values):
        return builder.select(first_lanes(builder, values[1]), values[0], constant(0.0))

    return vector(vector, types.intp), generate


@intrinsic
def total(typing_context, x):
    """The sum of the lanes, in a fixed order: halves are added until one is left."""

    def generate(context, builder, signature, values):
        return _fold(builder, values[0], builder.fadd)

    return types.float32(vector), generate


@intrinsic
def largest(typing_context, x):
    """The largest lane, NaN if there is one."""

    def generate(context, builder, signature, values):
        return _fold(builder, values[0], lambda a, b: _larger(builder, a, b))

    return types.float32(vector), generate


def _fold(builder, value, combine):
    width = LANES
    while width > 1:
        width //= 2
        undefined = ir.Constant(value.type, ir.Undefined)
        halves = [
            builder.shuffle_vector(value, undefined, ir.Constant(ir.VectorType(INT, width), list(part)))
            for part in (range(width), range(width, 2 * width))
        ]
        value = combine(*halves)
    return builder.extract_element(value, INT(0))


def _larger(builder, a, b):
    """max(a, b), NaN if either is (`llvm.maxnum` would hide it)."""
    keep = builder.or_(builder.fcmp_ordered(">", a, b), builder.fcmp_unordered("uno", a, a))
    return builder.select(keep, a, b)


# --- arithmetic -----------------------------------------------------------------------------------------------------


class Value:
    """A vector in the code being generated. Comparisons give masks for `choose`; `&` and `|` combine masks."""

    def __init__(self, builder, value):
        self.builder = builder
        self.value = value

    def lift(self, other) -> Value:
        """`other` as a Value: numbers become constant vectors."""
        return other if isinstance(other, Value) else Value(self.builder, constant(float(other)))

    def fma(self, factor, addend) -> Value:
        """self · factor + addend, rounded once."""
        values = [self.value, self.lift(factor).value, self.lift(addend).value]
        return Value(self.builder, call(self.builder, "fma", *values))

    def unordered(self, other) -> Value:
        """The mask of lanes where self or other is NaN."""
        return Value(self.builder, self.builder.fcmp_unordered("uno", self.value, other.value))

    def call(self, name: str) -> Value:
        """An LLVM intrinsic of one vector."""
        return Value(self.builder, call(self.builder, name, self.value))

    def power_of_two(self) -> Value:
        """2 to the power of this whole number between -126 and 127."""
        exponent = self.builder.fptosi(self.value, INTS)
        biased = self.builder.add(exponent, ir.Constant(INTS, [127] * LANES))
        bits = self.builder.shl(biased, ir.Constant(INTS, [23] * LANES))
        return Value(self.builder, self.builder.bitcast(bits, VECTOR))

    def __neg__(self):
        return self.lift(0.0) - self


def _operator(instruction: str):
    def emit(self, other):
        return Value(self.builder, getattr(self.builder, instruction)(self.value, self.lift(other).value))

    def reflected(self, other):
        return Value(self.builder, getattr(self.builder, instruction)(self.lift(other).value, self.value))

    return emit, reflected


_INSTRUCTIONS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "truediv": "fdiv", "and": "and_", "or": "or_"}
for _name, _instruction in _INSTRUCTIONS.items():
    _plain, _reflected = _operator(_instruction)
    setattr(Value, f"__{_name}__", _plain)
    setattr(Value, f"__r{_name}__", _reflected)


def _comparison(symbol: str):
    def emit(self, other):
        return Value(self.builder, self.builder.fcmp_ordered(symbol, self.value, self.lift(other).value))

    return emit


for _name, _symbol in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "=="}.items():
    setattr(Value, f"__{_name}__", _comparison(_symbol))


def choose(mask: Value, yes, no) -> Value:
    """Where the mask holds `yes`, elsewhere `no`; `no` must be a Value if `yes` is a number."""
    yes, no = mask.lift(yes), mask.lift(no)
    return Value(mask.builder, mask.builder.select(mask.value, yes.value, no.value))


def elementwise(function):
    """Make a function of Values usable in kernels, as a function of vectors."""
    count = len(inspect.signature(function).parameters)

    def generate(context, builder, signature, values):
        return function(*[Value(builder, value) for value in values]).value

    names = ", ".join("abcdef"[:count])
    source = f"def {function.__name__}(typing_context, {names}):\n    return signature, generate\n"
    namespace = {"signature": vector(*[vector] * count), "generate": generate}
    exec(source, namespace)
    made = intrinsic(namespace[function.__name__])
    made.__doc__ = function.__doc__
    made.of = function  # for other functions of Values
    return made


_OPERATIONS = {
    operator.add: operator.add,
    operator.iadd: operator.add,
    operator.sub: operator.sub,
    operator.mul: operator.mul,
    operator.truediv: operator.truediv,
}

for _operation, _emit in _OPERATIONS.items():

    @type_callable(_operation)
    def _type_of_operation(context):
        def typer(a, b):
            return vector if isinstance(a, VectorType) and isinstance(b, VectorType) else None

        return typer

    def _lower_operation(context, builder, signature, values, _emit=_emit):
        return _emit(*[Value(builder, value) for value in values]).value

    lower_builtin(_operation, VectorType, VectorType)(_lower_operation)
