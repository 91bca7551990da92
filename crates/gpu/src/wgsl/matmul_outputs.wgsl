// What the end of a product reads and writes.
#buffer bias read array<f32>
#buffer residual read array<f32>
#buffer out write array<f32>
#if RESIDUAL == 2
// The product without the residual.
#buffer plain write array<f32>
#end
