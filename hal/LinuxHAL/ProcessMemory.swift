import CLinux

/// How the process uses memory.
package enum ProcessMemory {
    /// One heap for all threads. Few of them allocate much, and a small board has little to give.
    /// Before anything else.
    package static func useOneHeap() { kerb_use_one_heap() }

    /// Open files and sockets of an agent, at most; a cabinet of 32 outlets needs a hundred.
    package static let mostDescriptors: UInt32 = 512

    /// libwebsockets keeps a table with a row for every descriptor the process may open, in each of its
    /// loops: 320 KB where a shell allows 20,000.
    package static func boundDescriptors() { kerb_bound_descriptors(mostDescriptors) }
}
