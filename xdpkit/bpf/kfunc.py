"""Patches a call of a kernel function into a compiled program: bcc can only call helpers.

The source calls a helper with a number that does not exist; that instruction is rewritten.
linux ``Documentation/bpf/standardization/instruction-set.rst``, "Call functions by BTF ID".
"""

from __future__ import annotations

import struct

# struct bpf_insn: opcode, destination register (low half) and source register, offset, immediate.
_INSN = struct.Struct("<BBhi")
_CALL = 0x85  # BPF_JMP | BPF_CALL
_HELPER, _KFUNC = 0 << 4, 2 << 4  # source register: 0, or BPF_PSEUDO_KFUNC_CALL


def call_kfunc(code: bytes, helper: int, btf_id: int) -> bytes:
    """``code`` with every call of ``helper`` turned into one of the kernel function ``btf_id``.

    Instructions are 8 bytes, little-endian. Raises ValueError when there is no such call.
    """
    return replace_call(code, helper, _INSN.pack(_CALL, _KFUNC, 0, btf_id))


def replace_call(code: bytes, helper: int, instruction: bytes) -> bytes:
    """``code`` with every call of ``helper`` replaced by another instruction of 8 bytes."""
    call = _INSN.pack(_CALL, _HELPER, 0, helper)
    instructions = [code[i : i + _INSN.size] for i in range(0, len(code), _INSN.size)]
    if call not in instructions:
        raise ValueError(f"the program does not call helper {helper:#x}")
    return b"".join(instruction if found == call else found for found in instructions)
