"""Which compiled operators of mmcv a class or function may call, read from its code without running it.

Python's own instructions tell what a function names: the extension and its operators, and other classes and functions,
which are followed as far as they belong to MMDetection, mmcv or the team's own packages. What a condition would leave
out is counted too.
"""

import dis
import functools
import inspect
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from runners.ops.bridge import EXTENSION

# Code of these packages calls no operator of mmcv.
_FOREIGN = frozenset(["builtins", "torch", "torchvision", "mmengine", "numpy", "cv2", "scipy", "pycocotools"])


def called_ops(code: Any) -> frozenset[str]:
    """Return the names of all operators that a class or function leads to.

    Args:
        code: a class (with what it inherits) or a function.
    """
    found: set[str] = set()
    seen: set[int] = set()
    left = [code]
    while left:
        owner = _owner(left.pop())
        if owner is None or id(owner) in seen:
            continue
        seen.add(id(owner))
        ops, others = _named_by(owner)
        found |= ops
        left += others
    return frozenset(found)


def _owner(value: Any) -> type | FunctionType | None:
    """Return the class or function that a global name stands for, None where it is neither or a foreign one."""
    if not isinstance(value, type | FunctionType):
        # An operator is often named by the ``apply`` of its class.
        value = getattr(value, "__self__", None)
    if isinstance(value, FunctionType):
        value = inspect.unwrap(value)
    if not isinstance(value, type | FunctionType) or _is_foreign(value):
        return None
    return value


def _is_foreign(value: type | FunctionType) -> bool:
    package = (value.__module__ or "").partition(".")[0]
    return package in _FOREIGN or package in sys.stdlib_module_names


@functools.cache
def _named_by(owner: type | FunctionType) -> tuple[frozenset[str], tuple[Any, ...]]:
    """Return the operators that a class or function calls itself, and the other classes and functions it names."""
    ops: set[str] = set()
    others: list[Any] = []
    for function in _functions(owner):
        extension_is_next = False
        for instruction in _instructions(function.__code__):
            if instruction.opname == "LOAD_GLOBAL":
                value = function.__globals__.get(instruction.argval)
                extension_is_next = value is sys.modules.get(EXTENSION, ...)
                if isinstance(value, type | FunctionType | MethodType) or hasattr(value, "__self__"):
                    others.append(value)
            elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                if extension_is_next:
                    ops.add(instruction.argval)
                extension_is_next = False
    return frozenset(ops), tuple(others)


def _functions(owner: type | FunctionType) -> Iterator[FunctionType]:
    if isinstance(owner, FunctionType):
        yield owner
        return
    for base in owner.__mro__:
        for value in () if _is_foreign(base) else vars(base).values():
            function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            if isinstance(function, FunctionType):
                yield inspect.unwrap(function)


def _instructions(code: CodeType) -> Iterator[dis.Instruction]:
    """Yield the instructions of a function and of those defined in it."""
    yield from dis.get_instructions(code)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _instructions(constant)
