"""Compiling: record a function once, optimise the list of its calls, replay it."""

from autograd_core.compiler.api import OptimizedModule as OptimizedModule
from autograd_core.compiler.api import compile as compile
from autograd_core.compiler.api import is_compiling as is_compiling
from autograd_core.compiler.api import reset as reset
from autograd_core.compiler.capture import CompileError as CompileError
from autograd_core.compiler.function import Compiled as Compiled
