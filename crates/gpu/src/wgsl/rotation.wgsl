// The Hadamard rotation of a vector in a workgroup of 64 threads, at most WIDEST values. A width that is no power of two is
// rotated in blocks of the largest one that divides it.
var<workgroup> vector: array<f32, ${WIDEST}>;

fn rotate(thread: u32, width: u32, block: u32) {
    workgroupBarrier();
    for (var half = 1u; half < block; half *= 2u) {
        for (var i = thread; i < width / 2u; i += 64u) {
            let low = i / half * half * 2u + i % half;
            let a = vector[low];
            let b = vector[low + half];
            vector[low] = a + b;
            vector[low + half] = a - b;
        }
        workgroupBarrier();
    }
}
