#!/usr/bin/env python3
"""Times the predictions of one of torchvision's networks in an inference engine; prints a line of
JSON as `striate bench infer` does.

The network is exported once, to --cache: ONNX for ONNX Runtime and OpenVINO, ncnn's own format by
pnnx. ncnn takes one image at a time, so that a batch is a loop over its images.
"""

import argparse
import pathlib

import numpy

from measured import print_steps


def onnx_file(options):
    path = options.cache / f"{options.model}-{options.batch_size}-{options.size}.onnx"
    if not path.exists():
        import torch

        from networks import build
        images = torch.zeros(options.batch_size, 3, options.size, options.size)
        torch.onnx.export(build(options.model).eval(), images, str(path), opset_version=17,
                          input_names=["input"], output_names=["logits"], dynamo=False)
    return str(path)


def ncnn_files(options):
    stem = options.cache / f"{options.model}_{options.size}"
    if not stem.with_suffix(".ncnn.bin").exists():
        import pnnx
        import torch

        from networks import build
        images = torch.zeros(1, 3, options.size, options.size)
        pnnx.export(build(options.model).eval(), str(stem.with_suffix(".pt")), images, fp16=False)
    return str(stem) + ".ncnn.param", str(stem) + ".ncnn.bin"


def onnxruntime_step(options, images):
    import onnxruntime
    session = onnxruntime.SessionOptions()
    session.intra_op_num_threads = options.threads
    session.inter_op_num_threads = 1
    run = onnxruntime.InferenceSession(onnx_file(options), session,
                                       providers=["CPUExecutionProvider"])
    return lambda: run.run(None, {"input": images})


def openvino_step(options, images):
    import openvino
    core = openvino.Core()
    model = core.compile_model(
        core.read_model(onnx_file(options)), "CPU",
        {"INFERENCE_NUM_THREADS": options.threads, "NUM_STREAMS": 1,
         "INFERENCE_PRECISION_HINT": {"float32": "f32", "bf16": "bf16"}[options.precision],
         "PERFORMANCE_HINT": "LATENCY" if options.batch_size == 1 else "THROUGHPUT"})
    request = model.create_infer_request()
    return lambda: request.infer({0: images}, share_inputs=True)


def ncnn_step(options, images):
    import ncnn
    param, weights = ncnn_files(options)
    net = ncnn.Net()
    net.opt.num_threads = options.threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = options.precision == "bf16"
    if net.load_param(param) != 0 or net.load_model(weights) != 0:
        raise SystemExit(f"ncnn can't read {param}")

    def step():
        for image in images:
            with net.create_extractor() as extractor:
                extractor.input("in0", ncnn.Mat(image).clone())
                status, logits = extractor.extract("out0")
                assert status == 0 and logits.w == 1000
    return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=["onnxruntime", "openvino", "ncnn"])
    parser.add_argument("model")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--warmup-steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["float32", "bf16"], default="float32")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path(".deps/bench-models"))
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)

    shape = (options.batch_size, 3, options.size, options.size)
    images = numpy.random.default_rng(1).standard_normal(shape, dtype=numpy.float32)
    step = {"onnxruntime": onnxruntime_step, "openvino": openvino_step,
            "ncnn": ncnn_step}[options.engine](options, images)
    print_steps(step, options)


if __name__ == "__main__":
    main()
