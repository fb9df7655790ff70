import CLinux

/// What the kernel knows about its wall clock.
package enum KernelClock {
    /// True while a time server (or another reference) keeps it right.
    package static var isSynchronised: Bool { kerb_clock_is_synchronised() == 1 }
}
