import Charging
import JSON
import Web

/// What an eMSP's books would trip over. OCPI 2.2.1 §8 to §11.
enum OCPIChecks {
    private static let required = [
        "sessions": [
            "country_code", "party_id", "id", "start_date_time", "kwh", "cdr_token", "auth_method",
            "location_id", "evse_uid", "connector_id", "currency", "status", "last_updated",
        ],
        "cdrs": [
            "country_code", "party_id", "id", "start_date_time", "end_date_time", "cdr_token",
            "auth_method", "cdr_location", "currency", "charging_periods", "total_cost",
            "total_energy",
            "total_time", "last_updated",
        ],
        "tariffs": ["country_code", "party_id", "id", "currency", "elements", "last_updated"],
    ]

    static func check(
        _ module: String, _ object: JSONValue, path request: HTTPRequest, _ findings: Findings
    ) {
        guard request.method != "DELETE" else { return }
        for key in required[module] ?? [] {
            findings.expect(object[key] != nil, "\(module) \(request.path): `\(key)` is missing")
        }
        if ["sessions", "tariffs"].contains(module) {
            for (parameter, key) in [("a", "country_code"), ("b", "party_id"), ("c", "id")] {
                let (inPath, inBody) = (request[parameter: parameter], object[key]?.string ?? "")
                findings.expect(
                    inPath.lowercased() == inBody.lowercased(),
                    "\(module): \(key) is \(inBody) in the body, \(inPath) in the URL")
            }
        }
        for key in ["start_date_time", "end_date_time", "last_updated"] {
            guard let text = object[key]?.string else { continue }
            findings.expect(
                text.count <= 25 && text.hasSuffix("Z") && Timestamp(rfc3339: text) != nil,
                "\(module): \(key) `\(text)` is no OCPI time")
        }
        if module == "cdrs" { sums(of: object, findings) }
    }

    /// Σ periods = totals. OCPI 2.2.1 §10.3.1.
    private static func sums(of cdr: JSONValue, _ findings: Findings) {
        var energy = Decimal.zero
        for period in cdr["charging_periods"]?.array ?? [] {
            for dimension in period["dimensions"]?.array ?? []
            where dimension["type"]?.string == "ENERGY" {
                energy = energy + (dimension["volume"]?.decimal ?? .zero)
            }
        }
        let total = cdr["total_energy"]?.decimal
        findings.expect(
            total == energy,
            "cdr: periods hold \(energy) kWh, total_energy is \(total?.description ?? "missing")")
        let parts = [
            "total_fixed_cost", "total_energy_cost", "total_time_cost", "total_parking_cost",
            "total_reservation_cost",
        ]
        .reduce(Decimal.zero) { $0 + (cdr[$1]?["excl_vat"]?.decimal ?? .zero) }
        if let cost = cdr["total_cost"]?["excl_vat"]?.decimal, parts != .zero {
            findings.expect(
                cost == parts, "cdr: sub-costs add up to \(parts), total_cost is \(cost)")
        }
    }
}
