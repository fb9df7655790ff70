/// Why a time zone cannot be had.
package enum ZoneInfoError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Not a name like `Europe/Amsterdam`.
    case badName(String)
    case unknown(String)
    /// The file is there but is no TZif file.
    case damaged(String)

    package var description: String {
        switch self {
        case .badName(let name): "`\(name)` is not the name of a time zone"
        case .unknown(let name):
            "the time zone `\(name)` is not known here; names look like Europe/Amsterdam (package tzdata)"
        case .damaged(let name): "the file of the time zone `\(name)` is damaged"
        }
    }
}

/// Loads a time zone's rules from the system's database, for `LocalTimeRules`.
package enum ZoneInfo {
    /// No zone's file is near it (the largest of 2026 is under 4 KiB).
    package static let longestFileBytes = 65_536

    /// The TZif bytes (RFC 9636) of a zone by its IANA name.
    ///
    /// - The name comes from configuration and from partners: parts are letters, digits, `_`, `+`
    ///   and `-`, at most four of them, so that it cannot leave the folder.
    package static func load(
        _ name: String, folder: String = "/usr/share/zoneinfo"
    ) throws(ZoneInfoError) -> [UInt8] {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        let isProper = parts.allSatisfy { part in
            !part.isEmpty && part.utf8.allSatisfy(isAllowed)
        }
        guard name.utf8.count <= 64, parts.count <= 4, isProper else { throw .badName(name) }
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try FileSystem.read("\(folder)/\(name)", limitBytes: longestFileBytes)
        } catch {
            throw .unknown(name)
        }
        guard bytes.count >= 44, bytes.starts(with: "TZif".utf8) else { throw .damaged(name) }
        return bytes
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
