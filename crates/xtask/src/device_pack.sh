#!/bin/sh
# sh run.sh [--tiny] [--device metal|vulkan:N|cuda:N]: tests and measures the GPU of this machine and writes device-report.txt.
# Needs its driver, and 10 GB of disk for models of random weights (--tiny: 1 GB, sizes for software devices).
cd "$(dirname "$0")" || exit 1
tiny=
device=
while [ $# -gt 0 ]; do
    case "$1" in
        --tiny) tiny=1 ;;
        --device) device=$2; shift ;;
        *) echo "sh run.sh [--tiny] [--device NAME]" >&2; exit 2 ;;
    esac
    shift
done
if [ -z "$device" ]; then
    if [ "$(uname)" = Darwin ]; then device=metal; else device=vulkan:0; fi
fi
unpacked=unpacked
mkdir -p "$unpacked"
for program in kernels matmul_bench step_speed random-model; do
    [ -x "$unpacked/$program" ] && [ ! "$program.xz" -nt "$unpacked/$program" ] && continue
    if [ -f "$program.xz" ]; then xz -dc "$program.xz" > "$unpacked/$program"; else cp "$program" "$unpacked/$program"; fi
    chmod +x "$unpacked/$program"
done
report=$PWD/device-report.txt
cd "$unpacked" || exit 1
failed=0
{
    echo "# Olivine $(cat ../commit) on $device, $(date -u +%Y-%m-%dT%H:%MZ)"
    uname -srm
    if [ "$(uname)" = Darwin ]; then sw_vers; sysctl -n machdep.cpu.brand_string hw.memsize; fi

    echo; echo "## Conformance"
    OLIVINE_DEVICE=$device RUST_BACKTRACE=0 ./kernels --test-threads 2 2>&1 |
        grep -E '^test |^SKIPPED|panicked|instead of|^kernel |and [-0-9.]+$' | cut -c1-240

    echo; echo "## Bytes and operations a second of products"
    if [ -n "$tiny" ]; then
        ./matmul_bench "$device" 1 64 1024x1024 affine4-g64 bf16
    else
        ./matmul_bench "$device" 1 8 512 4096x4096 14336x4096 4096x14336 affine4-g64 q4_k q8_0 bf16 f16
        ./matmul_bench "$device" 2048 4096x4096 affine4-g64 bf16 f16
    fi
    if [ "$device" = metal ]; then
        echo "with matrices of the hardware (OLIVINE_MATRICES=on):"
        OLIVINE_DEVICE=$device OLIVINE_MATRICES=on ./kernels products 2>&1 | grep -E '^test |panicked|instead of'
        OLIVINE_MATRICES=on ./matmul_bench "$device" 1 8 512 2048 4096x4096 affine4-g64 bf16 f16
    fi

    echo; echo "## Decode and prefill"
    if [ -n "$tiny" ]; then
        set -- qwen3-tiny:affine4:40:4 qwen3-tiny:bf16:40:4 qwen3-moe-tiny:affine4:40:4
    else
        set -- qwen3-0.6b:affine4:2048:128 qwen3-1.7b:bf16:2048:64 qwen3-8b:affine4:2048:64
    fi
    for case in "$@"; do
        IFS=: read -r shape format prompt generate <<END
$case
END
        ./random-model "$shape" "$format" model && RUST_BACKTRACE=0 ./step_speed "$device" model "$prompt" "$generate" 1 8 2>&1
        rm -rf model
    done
} > "$report" 2>&1
cat "$report"
grep -qE 'FAILED|panicked|SKIPPED' "$report" && failed=1
echo
echo "The report is $report"
exit $failed
