"""Networks from and to the formats of other tools: ONNX and its quantised dialect QONNX."""
