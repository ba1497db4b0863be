"""What kernels need beside Numba's CUDA: four numbers in one access, numbers at an address, a quick division, and the register tile's
product.

Each has a twin in Python for the simulator, which means the same but checks more: an access beside an array, or one of four numbers
that does not begin at a multiple of 16 bytes, is an error there and would be silence or a crash on a GPU.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

import numpy as np

from .driver import SIMULATED, cuda, intrinsic, types
from .kernel import device

f4 = np.float32
i4 = np.int32

if SIMULATED:

    def divide(a, b):  # ⌊a / b⌋ of whole numbers below 2³², a ≥ 0, b > 0
        if not 0 <= a < 2**32 or not 0 < b < 2**32:
            raise ValueError(f"divide({a}, {b}) is outside what 32 bits hold")
        return int(a) // int(b)

    def load4(
        target, at, source, index
    ):  # target[at : at + 4] = source[index : index + 4], index a multiple of 4
        _check(source, index)
        target[at : at + 4] = source[index : index + 4]

    def store4(
        target, index, source, at
    ):  # target[index : index + 4] = source[at : at + 4], index a multiple of 4
        _check(target, index)
        target[index : index + 4] = source[at : at + 4]

    def aligned(array):  # shared memory whose first number lies at a multiple of 16 bytes
        return array

    def _check(array, index):
        if index % 4 or index < 0 or index + 4 > len(array):
            raise IndexError(f"four numbers at {index} of an array of {len(array)}")

    _lying: WeakValueDictionary[int, np.ndarray] = WeakValueDictionary()

    def address_of(memory):  # where flat memory of the GPU lies, for load_from and store_to
        address = memory._ary.__array_interface__["data"][0]
        _lying[address] = memory._ary
        return address

    def load_from(address, index):  # the float32 at a place behind an address
        return _numbers_at(address, index)[index]

    def store_to(address, index, value):  # puts one there
        _numbers_at(address, index)[index] = value

    def _numbers_at(address, index):
        numbers = _lying.get(address)
        if numbers is None or numbers.dtype != f4:
            raise IndexError(f"there are no numbers at the address {address}")
        if index < 0:
            raise IndexError(f"index {index}")
        return numbers

    def multiply_add(acc, a, b, rows, columns):  # acc[i, j] += a[i] b[j]
        tile = np.asarray(acc).reshape(rows, columns)
        tile += np.multiply.outer(np.asarray(a)[:rows], np.asarray(b)[:columns])

    def here(i):  # a whole number below 2³², i ≥ 0, in 32 bits and not before this place: saves registers
        if not 0 <= i < 2**32:
            raise ValueError(f"here({i}) is outside what 32 bits hold")
        return i

    def bits_of(x):  # the bits of a float32, as a whole number
        return int(np.float32(x).view(np.uint32))

else:
    from llvmlite import ir

    GLOBAL, SHARED = 1, 3
    """The address spaces of the GPU's memory and of shared memory."""

    def _place(context, builder, array_type, array, index):
        data = context.make_array(array_type)(context, builder, array).data
        vector = ir.VectorType(ir.FloatType(), 4)
        return builder.bitcast(
            builder.gep(data, [index]), ir.PointerType(vector, data.type.addrspace)
        ), vector

    @intrinsic
    def _load(typing_context, source, index):
        result = types.UniTuple(types.float32, 4)

        def generate(context, builder, signature, values):
            place, _ = _place(context, builder, signature.args[0], *values)
            loaded = builder.load(place, align=16)
            parts = [builder.extract_element(loaded, ir.Constant(ir.IntType(32), i)) for i in range(4)]
            return context.make_tuple(builder, signature.return_type, parts)

        return result(source, types.intp), generate

    @intrinsic
    def _store(typing_context, target, index, a, b, c, d):
        def generate(context, builder, signature, values):
            place, vector = _place(context, builder, signature.args[0], values[0], values[1])
            stored = ir.Constant(vector, ir.Undefined)
            for i, value in enumerate(values[2:]):
                stored = builder.insert_element(stored, value, ir.Constant(ir.IntType(32), i))
            builder.store(stored, place, align=16)
            return context.get_dummy_value()

        return types.void(target, types.intp, *[types.float32] * 4), generate

    @intrinsic
    def aligned(typing_context, array):
        def generate(context, builder, signature, values):
            for variable in builder.module.global_values:
                if getattr(variable, "addrspace", 0) == SHARED and isinstance(variable, ir.GlobalVariable):
                    variable.align = 16
            return values[0]

        return array(array), generate

    @intrinsic
    def divide(typing_context, a, b):
        def generate(context, builder, signature, values):
            narrow = ir.IntType(32)
            a, b = (builder.trunc(value, narrow) for value in values)
            return builder.zext(builder.udiv(a, b), ir.IntType(64))

        return types.int64(types.int64, types.int64), generate

    @intrinsic
    def here(typing_context, i):
        def generate(context, builder, signature, values):
            narrow = ir.IntType(32)
            moved = ir.InlineAsm(ir.FunctionType(narrow, [narrow]), "mov.b32 $0, $1;", "=r,r", True)
            return builder.zext(builder.call(moved, [builder.trunc(values[0], narrow)]), ir.IntType(64))

        return types.int64(types.int64), generate

    @intrinsic
    def bits_of(typing_context, x):
        def generate(context, builder, signature, values):
            return builder.zext(builder.bitcast(values[0], ir.IntType(32)), ir.IntType(64))

        return types.int64(types.float32), generate

    def address_of(memory):
        return memory.__cuda_array_interface__["data"][0]

    def _behind(builder, address, index):
        return builder.gep(builder.inttoptr(address, ir.PointerType(ir.FloatType(), GLOBAL)), [index])

    @intrinsic
    def load_from(typing_context, address, index):
        def generate(context, builder, signature, values):
            return builder.load(_behind(builder, *values), align=4)

        return types.float32(types.int64, types.int64), generate

    @intrinsic
    def store_to(typing_context, address, index, value):
        def generate(context, builder, signature, values):
            builder.store(values[2], _behind(builder, *values[:2]), align=4)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.float32), generate

    @device
    def load4(target, at, source, index):
        a, b, c, d = _load(source, index)
        target[at] = a
        target[at + 1] = b
        target[at + 2] = c
        target[at + 3] = d

    @device
    def store4(target, index, source, at):
        _store(target, index, source[at], source[at + 1], source[at + 2], source[at + 3])

    @device
    def multiply_add(acc, a, b, rows, columns):
        for i in range(rows):
            for j in range(columns):
                acc[i * columns + j] += a[i] * b[j]


@device
def least(a, b):
    """The smaller of two whole numbers; Numba's `min` does not compile for GPUs where their types differ."""
    return a if a < b else b


TOP = 0x80000000
"""The highest bit of a counter."""


@device
def syncblocks(arrived):
    """A barrier of the blocks of this launch that share blockIdx.x; what each wrote before it, all of them see after it.

    All must be resident together, or they wait for ever. arrived: a counter (uint32) for each blockIdx.x, 0 before its first use. Of the
    blocks that come, the first in the grid adds so much to it that its top bit changes when all have come and the rest is 0 again:
    nobody has to set it back, and the next barrier may begin at once. As the barrier of a grid in CUDA's cooperative groups, which needs
    the whole grid and a library to link.
    """
    group, blocks = cuda.blockIdx.x, cuda.gridDim.y
    cuda.syncthreads()
    if blocks > 1:
        if cuda.threadIdx.x == 0:
            cuda.threadfence()
            before = cuda.atomic.add(arrived, group, TOP - (blocks - 1) if cuda.blockIdx.y == 0 else 1)
            while (cuda.atomic.add(arrived, group, 0) ^ before) & TOP == 0:
                cuda.nanosleep(32)
            cuda.threadfence()
        cuda.syncthreads()


@device
def block_sum(value, room, thread, threads):
    """The sum of a number of each thread of a block, for all of them; room: shared memory, as many numbers as threads, a power of two."""
    cuda.syncthreads()  # nobody reads what was in the room before
    room[thread] = value
    cuda.syncthreads()
    half = threads // 2
    while half:
        if thread < half:
            room[thread] += room[thread + half]
        cuda.syncthreads()
        half //= 2
    return room[0]


@device
def block_max(value, room, thread, threads):
    """As block_sum, the largest; a NaN wins."""
    cuda.syncthreads()
    room[thread] = value
    cuda.syncthreads()
    half = threads // 2
    while half:
        if thread < half:
            other = room[thread + half]
            if not room[thread] >= other and room[thread] == room[thread]:
                room[thread] = other
        cuda.syncthreads()
        half //= 2
    return room[0]
