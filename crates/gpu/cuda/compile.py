# Compile the kernels to cubins with NVRTC (no GPU is needed) and pack them: `cargo xtask cuda` runs this.
#
#     python -m venv V && V/bin/pip install nvidia-cuda-nvrtc-cu12==12.9.86
#     python compile.py OUT [ARCH,...]   writes OUT/kernels.bin and prints registers and spills
#
# kernels.bin: a line of text with the number of bytes of the table, the table (one line each: hash of the sources, then
# name, architecture, bytes, compressed bytes), then the cubins, each compressed by zlib.
import concurrent.futures, ctypes, glob, os, sys, zlib

HERE = os.path.dirname(os.path.abspath(__file__))
EVERY = "80 90a 120"
SOURCES = {"few": EVERY, "rows": EVERY, "unpack": EVERY, "attention": EVERY, "plain": EVERY, "moe": EVERY, "recurrent": EVERY, "sequences": EVERY, "greatest": EVERY, "cards": EVERY, "chosen": EVERY, "experts": "90a", "experts_few": "90a", "experts_own": "90a", "some": "90a", "team": "90a", "rows_apart": "90a", "gemm": "90a", "attention_step": "90a", "attention_prompt": "90a"}


def library():
    for root in sys.path:
        for path in sorted(glob.glob(os.path.join(root, "nvidia", "cuda_nvrtc", "lib", "libnvrtc.so.12"))):
            return ctypes.CDLL(path)
    sys.exit("libnvrtc.so.12 not found: pip install nvidia-cuda-nvrtc-cu12==12.9.86")


def compile(name, arch):
    nvrtc = library()
    text = open(os.path.join(HERE, name + ".cu"), "rb").read()
    program = ctypes.c_void_p()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, name.encode() + b".cu", 0, None, None) == 0
    options = [f"--gpu-architecture=sm_{arch}", f"--include-path={HERE}", "--std=c++17", "--ptxas-options=-v", "-default-device", "-diag-suppress=39,68,128,179,186"]
    failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*[o.encode() for o in options]))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    log = log.value.decode()
    if failed:
        sys.exit(f"{name} for sm_{arch}:\n{log}")
    nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
    cubin = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetCUBIN(program, cubin)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return cubin.raw, log


def report(name, arch, cubin, log):
    print(f"{name} sm_{arch}: {len(cubin)} bytes")
    kernel = "?"
    for line in log.splitlines():
        if "Compiling entry function" in line:
            kernel = line.split("'")[1]
        elif "Used" in line and "registers" in line:
            print("   ", kernel, line.split(":", 1)[1].strip())
        elif "bytes stack frame" in line and not line.split(".", 1)[-1].strip().startswith("0 bytes stack frame, 0 bytes spill"):
            print("   ", kernel, "STACK", line.split(".", 1)[-1].strip())
        elif "warning" in line or "Performance" in line:
            print("   ", line)


def sources_hash():
    """FNV-1a of 64 bits over names, lengths and texts: it tells changed sources, no more."""
    value = 0xCBF29CE484222325
    for path in sorted(glob.glob(os.path.join(HERE, "*.cu")) + glob.glob(os.path.join(HERE, "*.cuh"))):
        text = open(path, "rb").read()
        for byte in f"{os.path.basename(path)} {len(text)}\n".encode() + text:
            value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


if __name__ == "__main__":
    out, only = sys.argv[1], sys.argv[2].split(",") if len(sys.argv) > 2 else None
    os.makedirs(out, exist_ok=True)
    table, packed = [sources_hash()], b""
    jobs = [(name, arch) for name, architectures in SOURCES.items() for arch in architectures.split() if not only or arch in only]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        compiled = pool.map(compile, *zip(*jobs))
        for (name, arch), (cubin, log) in zip(jobs, compiled):
            report(name, arch, cubin, log)
            small = zlib.compress(cubin, 9)
            table.append(f"{name} {arch} {len(cubin)} {len(small)}")
            packed += small
            if only:
                open(os.path.join(out, f"{name}.sm_{arch}.cubin"), "wb").write(cubin)
    text = "\n".join(table).encode() + b"\n"
    with open(os.path.join(out, "kernels.bin"), "wb") as file:
        file.write(f"{len(text)}\n".encode() + text + packed)
    print(f"kernels.bin: {len(text) + len(packed)} bytes")
