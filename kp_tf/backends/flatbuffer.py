"""Models of LiteRT as objects that can be changed."""

from typing import Any


def unpack(content: bytes) -> Any:
    """The model in a file's bytes, see `ai_edge_litert.schema_py_generated.ModelT`."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content, 0)


def pack(model: Any) -> bytes:
    """The inverse of `unpack`."""
    import flatbuffers  # comes with ai-edge-litert

    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
