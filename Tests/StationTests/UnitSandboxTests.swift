import Testing

@testable import Station

@Suite struct `A unit's sandbox` {
    let pwm = "/sys/devices/platform/soc/fe20c000.pwm/pwm/pwmchip0"

    @Test(arguments: [
        "ReadWritePaths=\nProtectKernelTunables=no", "Nonsense",
        "ProtectKernelTunables=yes\nReadWritePaths=/sys/devices/platform/soc/fe20c000.pwm",
        "ProtectKernelTunables=yes\nReadWritePaths=-/run/a -/sys/devices/platform/soc/fe20c000.pwm/",
        "ProtectKernelTunables=yes\nReadWritePaths=+/sys",
    ])
    func `lets its program write a PWM`(show: String) {
        #expect(UnitSandbox(show: show).mayWrite(pwm))
    }

    @Test(arguments: [
        "ProtectKernelTunables=yes\nReadWritePaths=", "ProtectKernelTunables=yes",
        // A link is another path, and systemd opens what it leads to when it is named, not its like.
        "ProtectKernelTunables=yes\nReadWritePaths=/sys/class/pwm",
        "ProtectKernelTunables=yes\nReadWritePaths=/sys/devices/platform/soc/fe20c000",
    ])
    func `keeps a PWM read-only`(show: String) {
        #expect(!UnitSandbox(show: show).mayWrite(pwm))
    }

    @Test(arguments: [
        "DevicePolicy=auto\nDeviceAllow=", "Nonsense",
        "DevicePolicy=closed\nDeviceAllow=char-ttyUSB rw\nDeviceAllow=char-ttymxc rw",
        "DevicePolicy=closed\nDeviceAllow=char-tty* rw",
        "DevicePolicy=closed\nDeviceAllow=char-ttymxc",
        "DevicePolicy=strict\nDeviceAllow=/dev/ttymxc2 rwm",
    ])
    func `lets its program open a serial port`(show: String) {
        #expect(UnitSandbox(show: show).mayOpen("/dev/ttymxc2", classes: ["ttymxc"]))
    }

    @Test(arguments: [
        "DevicePolicy=closed\nDeviceAllow=", "DevicePolicy=strict",
        "DevicePolicy=closed\nDeviceAllow=char-ttyUSB rw\nDeviceAllow=char-ttyS rw",
        "DevicePolicy=auto\nDeviceAllow=char-ttyUSB rw",
        "DevicePolicy=closed\nDeviceAllow=char-ttymxc r",
        "DevicePolicy=closed\nDeviceAllow=/dev/ttymxc1 rw",
    ])
    func `keeps a serial port closed`(show: String) {
        #expect(!UnitSandbox(show: show).mayOpen("/dev/ttymxc2", classes: ["ttymxc"]))
    }

    @Test func `knows a port by any name of its major number`() {
        let sandbox = UnitSandbox(show: "DevicePolicy=closed\nDeviceAllow=char-ttyS rw")
        #expect(sandbox.mayOpen("/dev/ttyS0", classes: ["/dev/vc/0", "tty", "ttyS"]))
        #expect(sandbox.mayOpen("/dev/pts/4", classes: ["pts"]))
        #expect(!UnitSandbox(show: "DevicePolicy=strict").mayOpen("/dev/pts/4", classes: ["pts"]))
    }
}
