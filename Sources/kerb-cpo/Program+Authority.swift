import CPO
import CSMS
import Charging
import Crypto
import Service

extension Program {
    private static let authorityConfig = CommandTable.Flag(
        "--config", "FILE", "configuration (/etc/kerb/cpo.yaml)")
    private static let authorityName = CommandTable.Flag(
        "--name", "TEXT", "its common name (the operator's name and Stations)")
    private static let authorityDays = CommandTable.Flag(
        "--days", "N", "how long it holds (3650)")

    static let authorityCommands: [CommandTable.Command] = [
        .init(
            "authority make", flags: [authorityConfig, authorityName, authorityDays],
            "make the authority that signs chargers' certificates"),
        .init(
            "authority import",
            flags: [
                authorityConfig,
                .init("--certificate", "FILE", "PEM", isRequired: true),
                .init("--key", "FILE", "PEM", isRequired: true),
            ], "take the operator's own authority; a former one stays trusted until it ends"),
        .init(
            "authority rotate", flags: [authorityConfig, authorityName, authorityDays],
            "make the next authority; the former one stays trusted until it ends"),
        .init("authority show", flags: [authorityConfig], "which authorities are trusted"),
    ]

    static func authority(_ invocation: CommandTable.Invocation) throws -> ExitCode {
        let settings = try settings(invocation)
        guard let folder = settings.upkeep.authority?.folder else {
            throw Failure(
                code: .usage,
                text: "the configuration has no section authority; add authority.folder")
        }
        let now = SystemClock().now.milliseconds / 1000
        let days = invocation.value("--days").map { Int($0) ?? 0 } ?? 3650
        guard AuthorityFolder.days.contains(days) else {
            throw Failure(code: .usage, text: "--days must be from 30 to 7300")
        }
        let name = invocation.value("--name") ?? "\(settings.house.name) Stations"
        do {
            switch invocation.command {
            case "authority make": _ = try folder.make(name: name, days: days)
            case "authority rotate": _ = try folder.rotate(name: name, days: days, at: now)
            case "authority import":
                let (certificate, key) = (
                    invocation.value("--certificate") ?? "", invocation.value("--key") ?? ""
                )
                _ = try folder.take(
                    certificatePEM: String(decoding: FileSystem.read(certificate), as: UTF8.self),
                    keyPEM: String(decoding: FileSystem.read(key), as: UTF8.self), at: now)
            default: break
            }
        } catch let problem as AuthorityFolder.Problem {
            throw Failure(text: problem.description)
        }
        try show(folder, isChanged: invocation.command != "authority show")
        return .done
    }

    private static func show(_ folder: AuthorityFolder, isChanged: Bool) throws {
        for (index, one) in try folder.trustedCertificates().enumerated() {
            let word = index == 0 ? "signs  " : "trusted"
            print("\(word)  \(one.fingerprint)  \(one.commonName ?? "")")
        }
        guard isChanged else { return }
        print("listeners trust it by  tls.clientCAFile: \(folder.trustFile)")
        print("it counts from the server's next start on")
    }
}
