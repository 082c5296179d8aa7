"""Shows tensors in gdb as numbers:  (gdb) source common/chainrule-gdb.py  then  (gdb) print x

    $1 = Tensor (2, 3) float32 [[1, 2, 3], [4, 5, 6]]

Long dimensions are shortened to their first and last three entries; strided views are read through their strides. On a terminal,
`print x.impl_.pointer_->node` goes on from there. Nothing is called in the program, so it works on core dumps too.
"""
import gdb
import gdb.printing

EDGE = 3  # entries shown at each end of a long dimension


def inline_vector(value):
    """The elements of a cr::InlineVector (a shape, strides) as Python numbers."""
    inline = value["inline_"]
    heap = value["heap_"].address.cast(inline.type.target().pointer().pointer()).dereference()  # a unique_ptr is one pointer
    elements = inline if int(heap) == 0 else heap
    return [int(elements[i]) for i in range(int(value["size_"]))]


def shape_text(shape):
    return "(" + ", ".join(map(str, shape)) + (",)" if len(shape) == 1 else ")")


class DimsPrinter:
    """A shape or strides: (2, 3)."""

    def __init__(self, value):
        self.value = value

    def to_string(self):
        return shape_text(inline_vector(self.value))


class TensorPrinter:
    """Shape, type and numbers."""

    def __init__(self, value):
        self.handle = value["impl_"]["pointer_"]

    def to_string(self):
        if int(self.handle) == 0:
            return "Tensor (undefined)"
        impl = self.handle.dereference()
        shape, strides = inline_vector(impl["shape"]), inline_vector(impl["strides"])
        dtype = str(impl["dtype"]).rsplit("::", 1)[-1]
        storage = impl["storage"]["pointer_"].dereference()
        device = str(storage["device_"]).rsplit("::", 1)[-1]
        head = f"Tensor {shape_text(shape)} {dtype}" + ("" if device == "cpu" else f" on {device}")
        if device == "cuda":
            return head
        element = {"boolean": "bool", "int64": "long", "float32": "float", "float64": "double"}[dtype]
        numbers = storage["data_"].cast(gdb.lookup_type(element).pointer())
        return f"{head} {self.entries(numbers, int(impl['offset']), shape, strides)}"

    def entries(self, numbers, at, shape, strides):
        if not shape:
            value = numbers[at]
            if value.type.code == gdb.TYPE_CODE_FLT:
                return f"{float(value):.6g}"
            return str(value)
        n = shape[0]
        shown = range(n) if n <= 2 * EDGE else [*range(EDGE), None, *range(n - EDGE, n)]
        parts = ["..." if i is None else self.entries(numbers, at + i * strides[0], shape[1:], strides[1:]) for i in shown]
        return "[" + ", ".join(parts) + "]"


printers = gdb.printing.RegexpCollectionPrettyPrinter("chainrule")
printers.add_printer("Tensor", "^cr::Tensor$", TensorPrinter)
printers.add_printer("Dims", "^cr::InlineVector<(long|long long|int64_t), [0-9]+>$", DimsPrinter)
gdb.printing.register_pretty_printer(None, printers, replace=True)
