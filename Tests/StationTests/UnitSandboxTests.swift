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
}
