import Glibc

/// A host as configurations name it: a name of the network, or a numeric address.
package enum HostName {
    /// What is wrong with it, with the mend; nil for a good one. Whether it is there nobody asks.
    ///
    /// - Source: RFC 1123 §2.1; an underscore is let through, because some networks have them.
    package static func fault(of host: String) -> String? {
        if host.isEmpty { return "a host is missing; write its name or address" }
        let parts = host.parts(between: "://", most: 1)
        if parts.count > 1 { return "write the host alone, without `\(parts[0])://`" }
        if host.hasPrefix("["), host.hasSuffix("]") {
            return "write an IPv6 address without brackets here"
        }
        if isNumeric(withoutZone(host), AF_INET6) { return nil }
        if host.contains(":") { return "the colon is no part of a host; a port has its own key" }
        if host.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }), host.first != "." {
            return isNumeric(host, AF_INET)
                ? nil : "`\(host)` is no IPv4 address: four numbers from 0 to 255"
        }
        if let stranger = host.unicodeScalars.first(where: { !isOfNames($0) }) {
            let mend =
                stranger.isASCII ? "" : " (a name with letters of its own has an `xn--` form)"
            return "`\(stranger)` is no character of a host's name\(mend)"
        }
        var labels = host.split(separator: ".", omittingEmptySubsequences: false)
        if labels.last == "" { labels.removeLast() }
        let isGood = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count) && !label.hasPrefix("-") && !label.hasSuffix("-")
        }
        guard isGood, !labels.isEmpty, host.utf8.count <= 253 else {
            return
                "`\(host)` is no host's name: parts of 1 to 63 letters, digits and inner hyphens "
                + "between single dots"
        }
        return nil
    }

    /// Whether it can only be of this machine or of a network that is not everybody's.
    ///
    /// - Source: RFC 1918, 3927, 4193, 6598, 6761, 6762, 8375.
    package static func isPrivate(_ host: String) -> Bool {
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 {
            let value = UInt32(bigEndian: four.s_addr)
            let networks: [(UInt32, UInt32)] = [
                (0x7F00_0000, 8), (0x0A00_0000, 8), (0xAC10_0000, 12), (0xC0A8_0000, 16),
                (0xA9FE_0000, 16), (0x6440_0000, 10),
            ]
            return networks.contains { value >> (32 - $0.1) == $0.0 >> (32 - $0.1) }
        }
        var six = in6_addr()
        if inet_pton(AF_INET6, withoutZone(host), &six) == 1 {
            let bytes = withUnsafeBytes(of: six) { Array($0) }
            let isLoopback = bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
            return isLoopback || bytes[0] & 0xFE == 0xFC
                || bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80
        }
        let name = host.lowercased()
        let ends = [
            ".localhost", ".local", ".lan", ".internal", ".home.arpa", ".localdomain", ".intranet",
        ]
        return !name.contains(".") || ends.contains(where: name.hasSuffix)
    }

    /// `fe80::1%eth0` names the interface of a link-local address. RFC 4007 §11.
    private static func withoutZone(_ host: String) -> String {
        guard host.contains(":"), let sign = host.firstIndex(of: "%"),
            host.index(after: sign) != host.endIndex
        else { return host }
        return String(host[..<sign])
    }

    private static func isNumeric(_ host: String, _ family: Int32) -> Bool {
        var address = in6_addr()
        return inet_pton(family, host, &address) == 1
    }

    private static func isOfNames(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9", "-", "_", ".": true
        default: false
        }
    }
}
