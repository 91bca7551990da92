// Four halves into a workgroup's `staged`, whose elements are UNIT halves.
fn stage(at: u32, value: vec4<f16>) {
#if UNIT == 1
    staged[at] = value.x;
    staged[at + 1u] = value.y;
    staged[at + 2u] = value.z;
    staged[at + 3u] = value.w;
#else
    staged[at] = value;
#end
}
