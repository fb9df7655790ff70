/// Where a call may go: a guard against a partner's URL that points into our own network.
package struct HostRules: Hashable, Sendable {
    /// 127.0.0.0/8, ::1, 0.0.0.0/8, ::.
    package var allowsLoopback: Bool
    /// 10/8, 172.16/12, 192.168/16, 100.64/10, 169.254/16, fc00::/7, fe80::/10, multicast, reserved.
    package var allowsPrivate: Bool
    /// `http://` as well as `https://`.
    package var allowsPlain: Bool

    package init(
        allowsLoopback: Bool = false, allowsPrivate: Bool = false, allowsPlain: Bool = false
    ) {
        self.allowsLoopback = allowsLoopback
        self.allowsPrivate = allowsPrivate
        self.allowsPlain = allowsPlain
    }

    /// Public addresses over TLS only: the rule for what partners hand us.
    package static let strict = HostRules()
    /// Everything: the demo on loopback, tests, and peers that the operator wrote down himself.
    package static let open = HostRules(
        allowsLoopback: true, allowsPrivate: true, allowsPlain: true)
}
