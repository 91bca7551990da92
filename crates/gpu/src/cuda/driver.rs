//! The calls of NVIDIA's driver that are needed, loaded at run time.
//!
//! Every call makes the device's context current first, so any thread may call. Invariant: a failed call gives the
//! driver's words. The C declarations are those of `cuda.h` (CUDA 12, driver API). Read next: `runtime`.

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::ptr::{null, null_mut};

use libloading::Library;

type Status = c_int;
type Handle = *mut c_void;

/// Attributes of a device (CUdevice_attribute).
#[derive(Clone, Copy)]
pub enum Attribute {
    SharedBytes = 97,
    Multiprocessors = 16,
    Major = 75,
    Minor = 76,
}

#[repr(C)]
struct LaunchAttribute {
    id: c_int,
    pad: [u8; 4],
    value: [u32; 16],
}

#[repr(C)]
struct LaunchConfig {
    grid: [c_uint; 3],
    block: [c_uint; 3],
    shared: c_uint,
    stream: Handle,
    attributes: *const LaunchAttribute,
    count: c_uint,
}

/// The bytes of a CUtensorMap.
#[repr(C, align(64))]
#[derive(Clone, Copy)]
pub struct TensorMap(pub [u8; 128]);

macro_rules! calls {
    ($($name:ident = $symbol:literal ($($argument:ty),*);)*) => {
        struct Calls {
            $($name: unsafe extern "C" fn($($argument),*) -> Status,)*
        }

        impl Calls {
            fn load(library: &Library) -> Result<Calls, String> {
                Ok(Calls {
                    $($name: {
                        // SAFETY: the symbol has this signature in every driver since CUDA 12.
                        let symbol = unsafe { library.get($symbol) };
                        *symbol.map_err(|error| format!("the CUDA driver is too old: {error}"))?
                    },)*
                })
            }
        }
    };
}

calls! {
    init = b"cuInit\0" (c_uint);
    error_string = b"cuGetErrorString\0" (Status, *mut *const c_char);
    version = b"cuDriverGetVersion\0" (*mut c_int);
    count = b"cuDeviceGetCount\0" (*mut c_int);
    device = b"cuDeviceGet\0" (*mut c_int, c_int);
    name = b"cuDeviceGetName\0" (*mut c_char, c_int, c_int);
    memory = b"cuDeviceTotalMem_v2\0" (*mut usize, c_int);
    attribute = b"cuDeviceGetAttribute\0" (*mut c_int, c_int, c_int);
    retain = b"cuDevicePrimaryCtxRetain\0" (*mut Handle, c_int);
    can_reach = b"cuDeviceCanAccessPeer\0" (*mut c_int, c_int, c_int);
    reach = b"cuCtxEnablePeerAccess\0" (Handle, c_uint);
    current = b"cuCtxSetCurrent\0" (Handle);
    stream = b"cuStreamCreate\0" (*mut Handle, c_uint);
    synchronize = b"cuStreamSynchronize\0" (Handle);
    allocate = b"cuMemAlloc_v2\0" (*mut u64, usize);
    free = b"cuMemFree_v2\0" (u64);
    upload = b"cuMemcpyHtoDAsync_v2\0" (u64, *const c_void, usize, Handle);
    download = b"cuMemcpyDtoHAsync_v2\0" (*mut c_void, u64, usize, Handle);
    copy = b"cuMemcpyDtoDAsync_v2\0" (u64, u64, usize, Handle);
    module = b"cuModuleLoadData\0" (*mut Handle, *const c_void);
    function = b"cuModuleGetFunction\0" (*mut Handle, Handle, *const c_char);
    set_function = b"cuFuncSetAttribute\0" (Handle, c_int, c_int);
    launch = b"cuLaunchKernelEx\0" (*const LaunchConfig, Handle, *mut *mut c_void, *mut *mut c_void);
    begin_capture = b"cuStreamBeginCapture_v2\0" (Handle, c_int);
    end_capture = b"cuStreamEndCapture\0" (Handle, *mut Handle);
    instantiate = b"cuGraphInstantiateWithFlags\0" (*mut Handle, Handle, c_ulonglong);
    launch_graph = b"cuGraphLaunch\0" (Handle, Handle);
    destroy_graph = b"cuGraphDestroy\0" (Handle);
    destroy_executable = b"cuGraphExecDestroy\0" (Handle);
    tensor_map = b"cuTensorMapEncodeTiled\0" (*mut TensorMap, c_int, c_uint, u64, *const u64, *const u64, *const u32, *const u32, c_int, c_int, c_int, c_int);
}

/// The driver's library.
pub struct Driver {
    calls: Calls,
    _library: Library,
}

/// A device of the driver with its context and streams.
pub struct Context {
    driver: Driver,
    device: c_int,
    context: Handle,
    stream: Handle,
    capture: Handle,
}

// SAFETY: the driver's handles may be used from any thread; each call makes the context current.
unsafe impl Send for Context {}
// SAFETY: as above; the driver locks where it must.
unsafe impl Sync for Context {}

/// A kernel.
#[derive(Clone, Copy, Debug)]
pub struct Function(Handle);

// SAFETY: a handle that stays valid as long as the process.
unsafe impl Send for Function {}
// SAFETY: as above.
unsafe impl Sync for Function {}

/// A recorded list of work.
pub struct Graph(Handle);

// SAFETY: a handle, launched under the runtime's lock.
unsafe impl Send for Graph {}
// SAFETY: as above.
unsafe impl Sync for Graph {}

/// How a kernel is started.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub grid: [u32; 3],
    pub block: u32,
    pub shared: u32,
    /// It may start before the kernel in front is done, for which it waits itself.
    pub overlap: bool,
    /// Blocks, neighbours in the first dimension, that run together and see each other's memory; 1: none.
    pub cluster: u32,
}

impl Driver {
    /// Load it. The error says what is missing.
    pub fn load() -> Result<Driver, String> {
        let names = ["libcuda.so.1", "libcuda.so", "nvcuda.dll"];
        // SAFETY: the driver's library runs no code of ours when it is loaded.
        let library = names.iter().find_map(|name| unsafe { Library::new(*name) }.ok());
        let library = library.ok_or_else(|| format!("no CUDA driver ({} is not there)", names.join(", ")))?;
        let calls = Calls::load(&library)?;
        let driver = Driver { calls, _library: library };
        // SAFETY: takes no pointers.
        driver.check(unsafe { (driver.calls.init)(0) })?;
        Ok(driver)
    }

    /// How many devices there are.
    pub fn devices(&self) -> Result<usize, String> {
        let mut count = 0;
        // SAFETY: `count` outlives the call.
        self.check(unsafe { (self.calls.count)(&mut count) })?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// Version as the driver counts: 1000 major + 10 minor.
    pub fn version(&self) -> i32 {
        let mut version = 0;
        // SAFETY: `version` outlives the call.
        unsafe { (self.calls.version)(&mut version) };
        version
    }

    /// Open a device.
    pub fn open(self, number: usize) -> Result<Context, String> {
        let (mut device, mut context) = (0, null_mut());
        let (mut stream, mut capture) = (null_mut(), null_mut());
        // SAFETY: the results outlive the calls.
        self.check(unsafe { (self.calls.device)(&mut device, number as c_int) })?;
        // SAFETY: as above.
        self.check(unsafe { (self.calls.retain)(&mut context, device) })?;
        // SAFETY: the context is the driver's own.
        self.check(unsafe { (self.calls.current)(context) })?;
        for stream in [&mut stream, &mut capture] {
            const NON_BLOCKING: c_uint = 1;
            // SAFETY: as above.
            self.check(unsafe { (self.calls.stream)(stream, NON_BLOCKING) })?;
        }
        Ok(Context { driver: self, device, context, stream, capture })
    }

    fn check(&self, status: Status) -> Result<(), String> {
        if status == 0 {
            return Ok(());
        }
        let mut text = null();
        // SAFETY: the driver gives a static string or none.
        unsafe { (self.calls.error_string)(status, &mut text) };
        if text.is_null() {
            return Err(format!("CUDA error {status}"));
        }
        // SAFETY: a static string that ends with zero.
        let text = unsafe { CStr::from_ptr(text) };
        Err(format!("{} (CUDA error {status})", text.to_string_lossy()))
    }
}

impl Context {
    fn calls(&self) -> Result<&Calls, String> {
        // SAFETY: the context lives as long as the process.
        self.check(unsafe { (self.driver.calls.current)(self.context) })?;
        Ok(&self.driver.calls)
    }

    fn check(&self, status: Status) -> Result<(), String> {
        self.driver.check(status)
    }

    /// The device's name.
    pub fn name(&self) -> Result<String, String> {
        let mut bytes = [0; 256];
        // SAFETY: as many bytes as it is told.
        self.check(unsafe { (self.calls()?.name)(bytes.as_mut_ptr(), 256, self.device) })?;
        // SAFETY: the driver ends the name with a zero.
        Ok(unsafe { CStr::from_ptr(bytes.as_ptr()) }.to_string_lossy().into_owned())
    }

    /// Bytes of the device's memory.
    pub fn memory(&self) -> Result<u64, String> {
        let mut bytes = 0;
        // SAFETY: `bytes` outlives the call.
        self.check(unsafe { (self.calls()?.memory)(&mut bytes, self.device) })?;
        Ok(bytes as u64)
    }

    /// One of the device's numbers.
    pub fn attribute(&self, attribute: Attribute) -> Result<u32, String> {
        let mut value = 0;
        // SAFETY: `value` outlives the call.
        self.check(unsafe { (self.calls()?.attribute)(&mut value, attribute as c_int, self.device) })?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// Let kernels of this device use the memory of another, now and later. Whether the machine can do that.
    pub fn reach(&self, other: &Context) -> Result<bool, String> {
        const ALREADY: Status = 704;
        let mut can = 0;
        // SAFETY: `can` outlives the call.
        self.check(unsafe { (self.calls()?.can_reach)(&mut can, self.device, other.device) })?;
        if can == 0 {
            return Ok(false);
        }
        // SAFETY: both contexts live as long as the process.
        let status = unsafe { (self.calls()?.reach)(other.context, 0) };
        if status != ALREADY {
            self.check(status)?;
        }
        Ok(true)
    }

    /// New memory.
    pub fn allocate(&self, bytes: usize) -> Result<u64, String> {
        let mut address = 0;
        // SAFETY: `address` outlives the call.
        self.check(unsafe { (self.calls()?.allocate)(&mut address, bytes) })?;
        Ok(address)
    }

    /// Give memory back; the driver waits for work that uses it.
    pub fn free(&self, address: u64) {
        if let Ok(calls) = self.calls() {
            // SAFETY: an address of `allocate`, once.
            unsafe { (calls.free)(address) };
        }
    }

    /// Copy bytes to the device, behind everything before.
    pub fn upload(&self, to: u64, bytes: &[u8]) -> Result<(), String> {
        // SAFETY: pageable memory is taken over before the call returns.
        self.check(unsafe { (self.calls()?.upload)(to, bytes.as_ptr().cast(), bytes.len(), self.stream) })
    }

    /// Copy bytes from the device once everything before is done.
    pub fn download(&self, from: u64, bytes: &mut [u8]) -> Result<(), String> {
        // SAFETY: the wait below ends before `bytes` can go.
        let status = unsafe { (self.calls()?.download)(bytes.as_mut_ptr().cast(), from, bytes.len(), self.stream) };
        self.check(status)?;
        self.synchronize()
    }

    /// Wait for everything before.
    pub fn synchronize(&self) -> Result<(), String> {
        // SAFETY: our own stream.
        self.check(unsafe { (self.calls()?.synchronize)(self.stream) })
    }

    /// The kernels of a cubin.
    pub fn module(&self, cubin: &[u8]) -> Result<u64, String> {
        let mut module = null_mut();
        // SAFETY: the driver copies the image.
        self.check(unsafe { (self.calls()?.module)(&mut module, cubin.as_ptr().cast()) })?;
        Ok(module as u64)
    }

    /// A kernel by name, allowed `shared` bytes of memory of a block. `name` ends with a zero.
    pub fn function(&self, module: u64, name: &CStr, shared: u32) -> Result<Function, String> {
        const MAX_DYNAMIC_SHARED: c_int = 8;
        let mut function = null_mut();
        // SAFETY: a module of `module`.
        self.check(unsafe { (self.calls()?.function)(&mut function, module as Handle, name.as_ptr()) })?;
        // SAFETY: a function of the driver.
        self.check(unsafe { (self.calls()?.set_function)(function, MAX_DYNAMIC_SHARED, shared as c_int) })?;
        Ok(Function(function))
    }

    /// Start a kernel on the stream, or on the one that is recorded. `arguments` is its one parameter.
    pub fn launch(&self, function: Function, shape: &Shape, arguments: &mut [u8], capture: bool) -> Result<(), String> {
        const CLUSTER_DIMENSION: c_int = 4;
        const PROGRAMMATIC_SERIALIZATION: c_int = 6;
        let attribute = |id, first: [u32; 3]| {
            let mut attribute = LaunchAttribute { id, pad: [0; 4], value: [0; 16] };
            attribute.value[..3].copy_from_slice(&first);
            attribute
        };
        let mut attributes = Vec::with_capacity(2);
        if shape.overlap {
            attributes.push(attribute(PROGRAMMATIC_SERIALIZATION, [1, 0, 0]));
        }
        if shape.cluster > 1 {
            attributes.push(attribute(CLUSTER_DIMENSION, [shape.cluster, 1, 1]));
        }
        let config = LaunchConfig {
            grid: shape.grid,
            block: [shape.block, 1, 1],
            shared: shape.shared,
            stream: if capture { self.capture } else { self.stream },
            attributes: attributes.as_ptr(),
            count: attributes.len() as c_uint,
        };
        let mut parameters = [arguments.as_mut_ptr().cast::<c_void>()];
        // SAFETY: the kernel's one parameter is no longer than `arguments`, which the driver copies.
        self.check(unsafe { (self.calls()?.launch)(&config, function.0, parameters.as_mut_ptr(), null_mut()) })
    }

    /// Copy on the device.
    pub fn copy(&self, to: u64, from: u64, bytes: usize, capture: bool) -> Result<(), String> {
        let stream = if capture { self.capture } else { self.stream };
        // SAFETY: addresses of live memory; the caller keeps it.
        self.check(unsafe { (self.calls()?.copy)(to, from, bytes, stream) })
    }

    /// Record what `work` starts with `capture`.
    pub fn record(&self, work: impl FnOnce() -> Result<(), String>) -> Result<Graph, String> {
        const RELAXED: c_int = 2;
        let (mut graph, mut executable) = (null_mut(), null_mut());
        let calls = self.calls()?;
        // SAFETY: our own stream.
        self.check(unsafe { (calls.begin_capture)(self.capture, RELAXED) })?;
        let done = work();
        // SAFETY: `graph` outlives the call.
        let ended = self.check(unsafe { (calls.end_capture)(self.capture, &mut graph) });
        done?;
        ended?;
        // SAFETY: the graph was just made.
        let made = self.check(unsafe { (calls.instantiate)(&mut executable, graph, 0) });
        // SAFETY: the executable does not need it.
        unsafe { (calls.destroy_graph)(graph) };
        made?;
        Ok(Graph(executable))
    }

    /// Start what was recorded.
    pub fn replay(&self, graph: &Graph) -> Result<(), String> {
        // SAFETY: an executable of `record`.
        self.check(unsafe { (self.calls()?.launch_graph)(graph.0, self.stream) })
    }

    /// Forget what was recorded.
    pub fn forget(&self, graph: &Graph) {
        if let Ok(calls) = self.calls() {
            // SAFETY: an executable of `record`, once.
            unsafe { (calls.destroy_executable)(graph.0) };
        }
    }

    /// How the copy engine sees a tensor of 16-bit elements: sizes from the innermost dimension on, strides in bytes of all
    /// but it, and the box that one copy brings. `swizzled`: rows of 128 bytes, their pieces exchanged.
    pub fn tensor_map(
        &self,
        brain: bool,
        address: u64,
        sizes: &[u64],
        strides: &[u64],
        part: &[u32],
        swizzled: bool,
    ) -> Result<TensorMap, String> {
        assert!(sizes.len() == part.len() && strides.len() + 1 == sizes.len(), "[cuda] tensor {sizes:?} {strides:?}");
        const F16: c_int = 6;
        const BF16: c_int = 9;
        const SWIZZLE_128: c_int = 3;
        const L2_256: c_int = 3;
        let mut map = TensorMap([0; 128]);
        let ones = [1u32; 5];
        let calls = self.calls()?;
        // SAFETY: all arrays have as many elements as there are dimensions.
        self.check(unsafe {
            (calls.tensor_map)(
                &mut map,
                if brain { BF16 } else { F16 },
                sizes.len() as c_uint,
                address,
                sizes.as_ptr(),
                strides.as_ptr(),
                part.as_ptr(),
                ones.as_ptr(),
                0,
                if swizzled { SWIZZLE_128 } else { 0 },
                L2_256,
                0,
            )
        })?;
        Ok(map)
    }
}
