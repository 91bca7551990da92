#if CODE == 4
    // Grids have one layer.
    one = ${ONE}u + group.z;
#end
