import JSON
import Web

// Versions: which version, and where its modules are. OCPI 2.2.1 §6. Cheap and without side effects,
// because hubs ask every few minutes whether we live.

extension OCPIDoor {
    var versionsURL: String { "\(settings.publicURL)/versions" }

    func moduleURL(_ module: String) -> String { "\(settings.publicURL)/\(Self.version)/\(module)" }

    private static let modules = [
        ("credentials", "SENDER"), ("locations", "SENDER"), ("tariffs", "SENDER"),
        ("sessions", "SENDER"), ("cdrs", "SENDER"), ("tokens", "RECEIVER"),
        ("commands", "RECEIVER"), ("chargingprofiles", "RECEIVER"),
    ]

    func versions(_ request: HTTPRequest) -> OCPIReply {
        guard request.method == "GET" else {
            return .notAllowed("GET", "versions can be read only")
        }
        return .success([
            [
                "version": .string(Self.version),
                "url": .string("\(settings.publicURL)/\(Self.version)"),
            ]
        ])
    }

    func versionDetails(_ request: HTTPRequest) -> OCPIReply {
        guard request.method == "GET" else {
            return .notAllowed("GET", "versions can be read only")
        }
        return .success([
            "version": .string(Self.version),
            "endpoints": .array(
                Self.modules.map { module, role in
                    [
                        "identifier": .string(module), "role": .string(role),
                        "url": .string(moduleURL(module)),
                    ]
                }),
        ])
    }
}
