import CLinux

/// How the process uses memory.
package enum ProcessMemory {
    /// One heap for all threads. Few of them allocate much, and a small board has little to give.
    /// Before anything else.
    package static func useOneHeap() { kerb_use_one_heap() }
}
