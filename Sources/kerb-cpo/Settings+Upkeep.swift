import CSMS
import Service

extension Settings {
    /// Firmware and logs, and who signs stations' certificates.
    struct Upkeep: Sendable {
        /// nil: files come from and go to elsewhere.
        var files: FileSettings?
        /// nil: nobody signs here.
        var authority: Authority?
    }

    struct Authority: Sendable {
        var folder: AuthorityFolder
        var organisation: String
        var validityDays: Int
        var renewDays: Int
        var overlapDays: Int
    }

    /// - Parameter letsIn: O of the certificates that the door takes; nil: any.
    static func upkeep(
        _ top: ConfigSection, _ database: DatabasePlace, reachedAt base: String, name: String,
        letsIn organisation: String?
    ) -> Upkeep {
        Upkeep(
            files: files(
                top.section("files", about: "firmware for chargers, logs of them"), database,
                reachedAt: base),
            authority: top.sectionOrNil(
                "authority", about: "who signs chargers' certificates; left out: nobody does"
            ).map { section in
                let signer = authority(section, name: name)
                checkOrganisation(signer.organisation, section, letsIn: organisation)
                return signer
            })
    }

    /// What is signed here must be let in here.
    private static func checkOrganisation(
        _ organisation: String, _ section: ConfigSection, letsIn wanted: String?
    ) {
        guard !section.isSchema, let wanted, !wanted.isEmpty,
            wanted.lowercased() != organisation.lowercased()
        else { return }
        section.problem(
            "organisation",
            "`authority.organisation` is \(organisation) and `ocpp.certificateOrganisation` "
                + "\(wanted): no charger would come in with a certificate signed here; make them one"
        )
    }

    /// Where stations are, their files are too: of `wss://HOST:PORT/ocpp`.
    static func filesURL(_ stationsURL: String?) -> String? {
        stationsURL.map { "https\($0.dropFirst("wss".count).dropLast("/ocpp".count))" }
    }

    private static func files(
        _ section: ConfigSection, _ database: DatabasePlace, reachedAt base: String
    ) -> FileSettings? {
        let written = section.pathOrNil(
            "folder", about: "where they lie; beside the SQLite database where not said")
        var url = section.text(
            "url", default: base, about: "what their addresses begin with, for chargers")
        while url.hasSuffix("/") { url.removeLast() }
        if !section.isSchema, !url.hasPrefix("https://"), !url.hasPrefix("http://") {
            section.problem("url", "`files.url` must begin with https:// or http://")
        }
        func megabytes(_ key: String, _ fallback: Int, _ about: String) -> Int64 {
            Int64(section.int(key, default: fallback, in: 1...1_000_000, about: about)) << 20
        }
        let firmware = megabytes("mostFirmwareMegabytes", 512, "of one image")
        let log = megabytes("mostLogMegabytes", 100, "of one log")
        let kept = megabytes("logMegabytesKept", 2048, "of all logs; then the oldest goes")
        let logDays = section.int(
            "logDays", default: 30, in: 1...3650, about: "after which a log is deleted")
        let linkHours = section.int(
            "linkHours", default: 48, in: 1...720, about: "how long a one-time address holds")
        // With PostgreSQL there is no folder to stand beside: no files unless one is named.
        guard let folder = written ?? database.folder else { return nil }
        var settings = FileSettings(folder: folder, url: url)
        settings.mostFirmwareBytes = firmware
        settings.mostLogBytes = log
        settings.logBytesKept = kept
        settings.logDays = logDays
        settings.linkHours = linkHours
        return settings
    }

    private static func authority(_ section: ConfigSection, name: String) -> Authority {
        Authority(
            folder: AuthorityFolder(
                section.path("folder", about: "from `kerb-cpo authority make`")),
            organisation: section.text(
                "organisation", default: name, about: "O of the certificates; chargers' CpoName"),
            validityDays: section.int(
                "validityDays", default: 365, in: 1...3650, about: "of a charger's certificate"),
            renewDays: section.int(
                "renewDays", default: 30, in: 1...365,
                about: "before its end a new one is asked for"),
            overlapDays: section.int(
                "overlapDays", default: 7, in: 0...90,
                about: "the former one counts on after the new one was used"))
    }
}

extension Settings.Authority {
    /// - Throws: `Program.Failure` where the folder holds no authority that can be used.
    func loaded() throws -> AuthoritySettings {
        do {
            var settings = AuthoritySettings(
                authority: try folder.load(), organisation: organisation)
            settings.validityDays = validityDays
            settings.renewDays = renewDays
            settings.overlapDays = overlapDays
            return settings
        } catch {
            throw Program.Failure(code: .usage, text: "authority.folder: \(error)")
        }
    }
}

extension DatabasePlace {
    /// `files` beside the database's file; nil where it is a server's.
    var folder: String? {
        switch self {
        case .postgresql: nil
        case .sqlite(let path):
            (path.lastIndex(of: "/").map { String(path[...$0]) } ?? "") + "files"
        }
    }
}
