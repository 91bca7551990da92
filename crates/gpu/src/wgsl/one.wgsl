#if CODE == 4
    // Grids have one layer.
    one = 0x3f800000u + group.z;
#end
