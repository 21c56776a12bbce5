"""How well predictions match labelled faces: metrics, tables and figures."""
