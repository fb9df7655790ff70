import Charging
import JSON
import Service

extension MaintenanceOrder: Stored {
    /// The neutral names, as the admin API and the command rows spell them.
    package static let names: Set<String> = [
        "updateFirmware", "sendLog", "certificateSigned", "installRoot", "deleteCertificate",
        "listRoots", "extendedTrigger",
    ]

    package var name: String {
        switch self {
        case .updateFirmware: "updateFirmware"
        case .sendLog: "sendLog"
        case .certificateSigned: "certificateSigned"
        case .installRoot: "installRoot"
        case .deleteCertificate: "deleteCertificate"
        case .listRoots: "listRoots"
        case .trigger: "extendedTrigger"
        }
    }

    package var stored: JSONValue {
        var members: [String: JSONValue] =
            switch self {
            case .updateFirmware(let order): Self.members(order)
            case .sendLog(let order): Self.members(order)
            case .certificateSigned(let chain): ["chain": .string(chain)]
            case .installRoot(let kind, let pem):
                ["kind": .string(kind.rawValue), "certificate": .string(pem)]
            case .deleteCertificate(let hash):
                [
                    "algorithm": .string(hash.algorithm.rawValue),
                    "issuerName": .string(hash.issuerName), "issuerKey": .string(hash.issuerKey),
                    "serial": .string(hash.serial),
                ]
            case .listRoots(let kind): ["kind": .string(kind.rawValue)]
            case .trigger(let message, let connector):
                ["message": .string(message), "connector": .int(connector) ?? .null]
            }
        members["command"] = .string(name)
        return .object(members)
    }

    private static func members(_ order: FirmwareOrder) -> [String: JSONValue] {
        var members = members(order.transfer)
        members["retrieveAt"] = .moment(order.retrieveAt)
        guard let signed = order.signed else { return members }
        members["request"] = .number(signed.requestID)
        members["installAt"] = .moment(signed.installAt)
        members["certificate"] = .string(signed.certificate)
        members["signature"] = .string(signed.signature)
        return members
    }

    private static func members(_ order: LogOrder) -> [String: JSONValue] {
        var members = members(order.transfer)
        members["kind"] = .string(order.kind.rawValue)
        members["request"] = .int(order.requestID)
        members["from"] = .moment(order.from)
        members["until"] = .moment(order.until)
        return members
    }

    private static func members(_ transfer: TransferOrder) -> [String: JSONValue] {
        var members: [String: JSONValue] = ["location": .string(transfer.location)]
        members["retries"] = .int(transfer.retries)
        members["retrySeconds"] = .int(transfer.retrySeconds)
        return members
    }

    package init(stored: JSONValue) throws {
        switch try stored.text("command") {
        case "updateFirmware": self = .updateFirmware(try Self.firmware(stored))
        case "sendLog":
            self = .sendLog(
                LogOrder(
                    kind: try stored.choice("kind"), transfer: try Self.transfer(stored),
                    requestID: try stored.intOrNil("request"), from: try stored.timeOrNil("from"),
                    until: try stored.timeOrNil("until")))
        case "certificateSigned": self = .certificateSigned(chain: try stored.text("chain"))
        case "installRoot":
            self = .installRoot(try stored.choice("kind"), pem: try stored.text("certificate"))
        case "deleteCertificate":
            self = .deleteCertificate(
                CertificateHash(
                    algorithm: try stored.choice("algorithm"),
                    issuerName: try stored.text("issuerName"),
                    issuerKey: try stored.text("issuerKey"), serial: try stored.text("serial")))
        case "listRoots": self = .listRoots(try stored.choice("kind"))
        case "extendedTrigger":
            self = .trigger(
                message: try stored.text("message"), connector: try stored.intOrNil("connector"))
        default: throw StoredError(key: "command")
        }
    }

    private static func firmware(_ stored: JSONValue) throws -> FirmwareOrder {
        var order = FirmwareOrder(
            transfer: try transfer(stored), retrieveAt: try stored.timeOrNil("retrieveAt"))
        if let signature = try stored.textOrNil("signature") {
            order.signed = FirmwareOrder.Signed(
                requestID: try stored.int("request"), installAt: try stored.timeOrNil("installAt"),
                certificate: try stored.text("certificate"), signature: signature)
        }
        return order
    }

    private static func transfer(_ stored: JSONValue) throws -> TransferOrder {
        TransferOrder(
            location: try stored.text("location"), retries: try stored.intOrNil("retries"),
            retrySeconds: try stored.intOrNil("retrySeconds"))
    }

    /// The same without the log-in that its URL carried; nil when it carries none.
    var masked: MaintenanceOrder? {
        switch self {
        case .updateFirmware(var order):
            guard let location = order.transfer.maskedLocation else { return nil }
            order.transfer.location = location
            return .updateFirmware(order)
        case .sendLog(var order):
            guard let location = order.transfer.maskedLocation else { return nil }
            order.transfer.location = location
            return .sendLog(order)
        case .certificateSigned, .installRoot, .deleteCertificate, .listRoots, .trigger: return nil
        }
    }

    /// Whether the answer is all there is to wait for.
    var isItsOwnEffect: Bool {
        switch self {
        case .updateFirmware, .sendLog: false
        case .certificateSigned, .installRoot, .deleteCertificate, .listRoots, .trigger: true
        }
    }
}

extension TransferOrder {
    /// `ftp://user:password@host` without user and password, and a one-time address without what makes
    /// it one; nil when there is no secret.
    package var maskedLocation: String? {
        let parts = location.parts(between: "/files/", most: 1)
        if parts.count == 2, parts[0].hasPrefix("http"), !parts[1].isEmpty {
            let name = parts[1].drop { $0 != "/" }
            return "\(parts[0])/files/***\(name)"
        }
        let scheme = location.prefix { $0 != "/" }
        let rest = location[scheme.endIndex...].drop { $0 == "/" }
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard let at = authority.lastIndex(of: "@") else { return nil }
        return scheme + "//***" + rest[at...]
    }
}
