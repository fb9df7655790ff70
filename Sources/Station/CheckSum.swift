import Charging
import SQL

/// A sum over what is billed, kept in each row: SQLite notices a broken page, not a flipped digit.
///
/// FNV-1a, 64 bits: against a dying flash, not against malice.
enum CheckSum {
    static func ofStart(
        charge: Int64, connector: ConnectorNumber, token: String, isRemote: Bool, register: Int64,
        at: Timestamp
    ) -> Int64 {
        of([
            "start", "\(charge)", "\(connector)", token, "\(isRemote)", "\(register)",
            "\(at.milliseconds)",
        ])
    }

    static func ofNumber(charge: Int64, operatorID: Int) -> Int64 {
        of(["number", "\(charge)", "\(operatorID)"])
    }

    static func ofStop(
        charge: Int64, register: Int64, at: Timestamp, reason: String, token: String?
    ) -> Int64 {
        of(["stop", "\(charge)", "\(register)", "\(at.milliseconds)", reason, token ?? ""])
    }

    static func ofMessage(
        seq: Int64, charge: Int64, kind: String, body: String?, boot: String, base: Int64
    ) -> Int64 {
        of(["message", "\(seq)", "\(charge)", kind, body ?? "", boot, "\(base)"])
    }

    /// Of what an open charge is closed with where its connector never speaks again.
    static func ofAlive(
        charge: Int64, register: Int64, at: Timestamp, boot: String, base: Int64
    ) -> Int64 {
        of(["alive", "\(charge)", "\(register)", "\(at.milliseconds)", boot, "\(base)"])
    }

    static func ofLimits(charge: Int64, text: String?) -> Int64 {
        of(["limits", "\(charge)", text ?? ""])
    }

    /// Of a row of any other table, by the columns that decide.
    static func ofRow(_ table: String, _ values: [SQLValue]) -> Int64 {
        of(
            [table]
                + values.map { value in
                    switch value {
                    case .null: "-"
                    case .integer(let integer): "i\(integer)"
                    case .text(let text): "t" + text
                    case .blob(let bytes): "b\(bytes)"
                    }
                })
    }

    private static func of(_ parts: [String]) -> Int64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for part in parts {
            for byte in part.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
            // Between parts stands what no part holds, so that "1|23" is not "12|3".
            hash = (hash ^ 0xFF) &* 0x0000_0100_0000_01B3
        }
        return Int64(bitPattern: hash)
    }
}
