import Charging

/// Connector types and statuses in the words of Beckn's networks. Facts §10.
enum ConnectorAlias {
    /// OCPI standard, the spelling we emit, and other spellings taken in (compared folded).
    private static let table: [(standard: String, emitted: String, others: [String])] = [
        ("IEC_62196_T1", "Type 1", ["J1772"]),
        ("IEC_62196_T2", "Type 2", ["Mennekes"]),
        ("IEC_62196_T1_COMBO", "CCS1", []),
        ("IEC_62196_T2_COMBO", "CCS2", ["CCS"]),
        ("CHADEMO", "CHAdeMO", []),
        ("GBT_AC", "GBT_AC", ["GB_T"]),
        ("GBT_DC", "GBT_DC", ["GB_T", "DC-001", "Bharat DC"]),
        ("IEC_60309_2_single_16", "IEC_60309_2_single_16", ["AC-001", "Bharat AC", "IEC_60309"]),
        ("IEC_60309_2_three_16", "IEC_60309_2_three_16", ["AC-001", "IEC_60309"]),
        ("IEC_60309_2_three_32", "IEC_60309_2_three_32", ["AC-001", "IEC_60309"]),
        ("IEC_60309_2_three_64", "IEC_60309_2_three_64", ["AC-001", "IEC_60309"]),
        ("DOMESTIC_D", "DOMESTIC_D", ["15A"]),
        ("DOMESTIC_M", "DOMESTIC_M", ["15A", "16A socket"]),
    ]

    /// Filters that mean several standards.
    private static let groups: [String: [String]] = [
        "iecac": ["IEC_62196_T1", "IEC_62196_T2", "IEC_60309_2_single_16", "IEC_60309_2_three_16"]
    ]

    /// OCPI standards a filter text may mean; for a text nobody knows, the text itself, so that it is
    /// found where a connector carries it and matches nothing elsewhere.
    static func standards(_ text: String) -> Set<String> {
        let wanted = text.folded
        if let group = groups[wanted] { return Set(group) }
        var found: Set<String> = []
        for row in table {
            let names = [row.standard, row.emitted] + row.others
            if names.contains(where: { $0.folded == wanted }) { found.insert(row.standard) }
        }
        return found.isEmpty ? [text.uppercased()] : found
    }

    static func emitted(_ standard: String) -> String {
        table.first { $0.standard == standard }?.emitted ?? standard
    }

    /// The seeds' word for an EVSE's status.
    static func seedStatus(_ status: EVSEStatus) -> String {
        switch status {
        case .available: "Available"
        case .charging: "In Use"
        case .reserved: "Reserved"
        case .blocked: "Blocked"
        case .inoperative, .outOfOrder: "Out of Order"
        case .planned, .removed, .unknown: "Unknown"
        }
    }

    /// OCPP's word, which UEI apps expect as `availability`.
    static func availability(_ status: EVSEStatus) -> String {
        switch status {
        case .available: "Available"
        case .charging: "Charging"
        case .reserved: "Reserved"
        case .outOfOrder: "Faulted"
        case .blocked, .inoperative, .unknown, .planned, .removed: "Unavailable"
        }
    }

    /// `AC` or `DC`.
    static func chargerType(_ powerType: String) -> String {
        powerType.hasPrefix("DC") ? "DC" : "AC"
    }
}

extension Connector {
    /// Watts at most, as OCPI 2.2.1 §8.3.3 derives them where no limit is named.
    var maximumPower: Watts {
        if let maxElectricPower { return Watts(Int64(maxElectricPower)) }
        let phases: Int64
        switch powerType {
        case "AC_3_PHASE": phases = 3
        case "AC_2_PHASE", "AC_2_PHASE_SPLIT": phases = 2
        default: phases = 1
        }
        return Watts(Int64(maxVoltage) * Int64(maxAmperage) * phases)
    }

    /// SLOW, NORMAL, FAST or ULTRAFAST. Ours, facts §10.
    var chargingSpeed: String {
        let watts = maximumPower.value
        if powerType.hasPrefix("DC") { return watts >= 150_000 ? "ULTRAFAST" : "FAST" }
        return watts <= 7_400 ? "SLOW" : watts <= 22_100 ? "NORMAL" : "FAST"
    }
}
