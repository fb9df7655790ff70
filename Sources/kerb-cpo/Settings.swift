import Beckn
import CPO
import Charging
import HTTPClient
import OCPI
import Service
import Web

/// Everything `cpo.yaml` can say, as the program uses it. Keys, defaults and what happens when one is
/// wrong stand in `Config/cpo.yaml`; a test holds the two together.
struct Settings: Sendable {
    enum Area: String, CaseIterable, Sendable {
        case ocpp, ocpi, beckn, console, api, metrics

        /// Paths a listener lets through for it.
        var prefixes: [String] {
            switch self {
            case .ocpp: ["/ocpp/", "/enrol", "/files/"]
            case .ocpi: ["/ocpi/"]
            case .beckn: ["/beckn/"]
            // A page sends an image to where stations fetch it.
            case .console: ["/console", "/api/v1/", "/files/"]
            case .api: ["/api/v1/"]
            case .metrics: ["/metrics"]
            }
        }
    }

    var listeners: [Listener]
    var database: DatabasePlace
    var readers: Int
    /// Base of the addresses partners are told, without a slash at the end.
    var publicURL: String
    var timeZone: String
    var house: OperatorSettings
    var ocpp: OCPP
    var ocpi: OCPISettings
    /// nil: the door stays shut.
    var beckn: Beckn?
    var outgoing: Outgoing
    var alerts: Alarms
    var upkeep: Upkeep
    var drainSeconds: Int

    /// Rules for calls to partners.
    struct Outgoing: Sendable {
        var rules: HostRules
        var caFile: String?
    }

    struct Beckn: Sendable {
        var door: BecknSettings
        /// Base64 of the private key's seed.
        var keyFile: String
        var registryFile: String
    }

    /// How closely the files are looked at that the keys name.
    enum Look {
        /// What adds a user needs none of them.
        case away
        /// What serves must have them.
        case atFiles
        /// And secrets are to be secret.
        case atModes
    }

    static func load(
        _ file: String, looking look: Look = .away
    ) throws(ConfigProblems) -> Configuration<Settings> {
        try Configuration.load(file: file) { read($0, looking: look) }
    }

    static func read(_ top: ConfigSection) -> Settings { read(top, looking: .away) }

    /// Reads the file key by key; the same description serves check, origin and schema.
    private static func read(_ top: ConfigSection, looking look: Look) -> Settings {
        var places: [ConfigSection] = []
        let listeners = top.list(
            "listeners", atLeast: 1, atMost: 16, about: "where the program can be reached"
        ) { section in
            places.append(section)
            return listener(section)
        }
        let files = FilePlaces(top: top, listeners: places, values: listeners)
        if !top.isSchema {
            checkPorts(listeners, places)
        }
        let database = DatabasePlace.read(top)
        let party = top.section("party", about: "the operator as partners know it")
        let country = party.text("countryCode", about: "ISO 3166-1 alpha-2, e.g. IN")
        let id = party.text("partyID", about: "three characters, e.g. KRB")
        if country.utf8.count != 2 || !country.utf8.allSatisfy(isLetter) {
            party.problem("countryCode", "`party.countryCode` must be two letters, like IN")
        }
        if id.utf8.count != 3 || !id.utf8.allSatisfy({ isLetter($0) || isDigit($0) }) {
            party.problem("partyID", "`party.partyID` must be three letters or digits, like KRB")
        }
        let name = party.text("name", about: "the operator's name as drivers see it")
        let currency = top.text("currency", default: "EUR", about: "ISO 4217")
        if currency.utf8.count != 3 || currency != currency.uppercased() {
            top.problem("currency", "`currency` must be an ISO 4217 code like INR")
        }
        let zone = top.text("timeZone", default: "UTC", about: "IANA name; for reports")
        do throws(ZoneInfoError) {
            _ = try ZoneInfo.load(zone)
        } catch {
            top.problem("timeZone", "\(error)")
        }
        let url = publicURL(top)
        let ocpp = top.section("ocpp", about: "chargers")
        let stationsURL = stationsURL(ocpp, listeners, publicURL: url)
        defer {
            if look != .away { files.check(modes: look == .atModes, stationsURL: stationsURL) }
        }
        var house = house(top, ocpp, PartyID(country: country, party: id), name, currency)
        let ocpi = ocpi(top, publicURL: url)
        house.ownerDeadlineSeconds = ocpi.authorizeDeadlineSeconds
        house.retention = retention(top)
        let door = OCPP(ocpp, stationsURL: stationsURL)
        return Settings(
            listeners: listeners, database: database,
            readers: top.int(
                "databaseReaders", default: 2, in: 1...16, about: "threads that read the database"),
            publicURL: url, timeZone: zone, house: house,
            ocpp: door,
            ocpi: ocpi,
            beckn: top.sectionOrNil("beckn", about: "Beckn networks; left out: no door").map {
                beckn($0, name: name, publicURL: url)
            }, outgoing: outgoing(top), alerts: alarms(top, zone: zone),
            upkeep: upkeep(
                top, database, reachedAt: filesURL(stationsURL) ?? url, name: name,
                letsIn: door.certificateOrganisation),
            drainSeconds: top.int(
                "drainSeconds", default: 10, in: 0...300,
                about: "time over which connections are closed at the end"))
    }

    private static func house(
        _ top: ConfigSection, _ ocpp: ConfigSection, _ party: PartyID, _ name: String,
        _ currency: String
    ) -> OperatorSettings {
        var house = OperatorSettings(
            party: party, name: name, currency: currency,
            moneyDigits: top.int(
                "moneyDigits", default: 2, in: 0...6, about: "digits after the point of money"),
            unknownStations: ocpp.choice(
                "unknownStations", default: .inbox, about: "what becomes of unknown chargers"),
            adoptionLocation: ocpp.textOrNil(
                "adoptionLocation", about: "location id for the plugs of adopted chargers"),
            heartbeatIntervalSeconds: ocpp.int(
                "heartbeatIntervalSeconds", default: 300, in: 10...86_400, about: "told at boot"),
            remoteStartWindowSeconds: Int64(
                ocpp.int(
                    "remoteStartWindowSeconds", default: 180, in: 30...3600,
                    about: "how long a remote start waits for its session")),
            commandDeadlineSeconds: ocpp.int(
                "commandDeadlineSeconds", default: 30, in: 5...300,
                about: "how long a call waits for the charger's answer"),
            orphanGraceSeconds: Int64(
                ocpp.int(
                    "orphanGraceSeconds", default: 86_400, in: 60...2_592_000,
                    about: "how long a session without a stop waits for it")))
        house.chargesPerToken = ocpp.int(
            "chargesPerToken", default: 0, in: 0...10_000,
            about: "charges at a time with one token, where it has no bound of its own. 0: no bound"
        )
        house.chargesPerGroup = ocpp.int(
            "chargesPerGroup", default: 0, in: 0...100_000,
            about: "the same for all tokens of a group. 0: no bound")
        return house
    }

    private static func listener(_ section: ConfigSection) -> Listener {
        let areas = section.texts(
            "serves", default: Area.allCases.map(\.rawValue),
            about: "ocpp, ocpi, beckn, console, api, metrics")
        for area in areas where Area(rawValue: area) == nil {
            let known = Area.allCases.map(\.rawValue).joined(separator: ", ")
            section.problem("serves", "`serves` does not know \(area); it knows \(known)")
        }
        let served = Set(areas.compactMap(Area.init(rawValue:)))
        var tls: TLSListener?
        if let files = section.sectionOrNil("tls", about: "certificate of this listener") {
            let kind = section.choice(
                "clientCertificates", of: Certificates.self, default: Certificates.none,
                about: "whether chargers and partners show certificates")
            let authority = files.pathOrNil("clientCAFile", about: "who signs client certificates")
            if kind != .none, authority == nil {
                section.problem(
                    "clientCertificates", "client certificates need `tls.clientCAFile`")
            }
            tls = TLSListener(
                certificateFile: files.path("certificateFile", about: "PEM, the chain included"),
                keyFile: files.path("keyFile", about: "PEM, mode 0600"), clientCAFile: authority,
                clientCertificates: kind.webKind)
        }
        let everything = served == Set(Area.allCases)
        return Listener(
            name: section.text("name", default: "main", about: "for logs and metrics"),
            address: section.text("address", default: "127.0.0.1", about: "IPv4 or IPv6 address"),
            port: section.int("port", default: 8080, in: 1...65_535), tls: tls,
            pathPrefixes: everything
                ? []
                : ["/healthz", "/readyz"] + served.flatMap(\.prefixes).sorted())
    }

    /// The words of the configuration for `TLSListener.ClientCertificates`.
    enum Certificates: String, CaseIterable {
        case none, optional, required

        var webKind: TLSListener.ClientCertificates {
            switch self {
            case .none: .none
            case .optional: .optional
            case .required: .required
            }
        }
    }

    private static func outgoing(_ top: ConfigSection) -> Outgoing {
        let section = top.section("outgoing", about: "calls to partners")
        return Outgoing(
            rules: HostRules(
                allowsLoopback: section.bool(
                    "allowLoopback", default: false, about: "partners on this machine, for tests"),
                allowsPrivate: section.bool(
                    "allowPrivateAddresses", default: false, about: "partners inside our network"),
                allowsPlain: section.bool(
                    "allowPlain", default: false, about: "http:// as well as https://")),
            caFile: section.pathOrNil("caFile", about: "PEM instead of the system's authorities"))
    }

    private static func ocpi(_ top: ConfigSection, publicURL: String) -> OCPISettings {
        let section = top.section("ocpi", about: "roaming partners")
        var door = OCPISettings(
            publicURL: publicURL + "/ocpi",
            website: section.textOrNil("website", about: "the operator's page, for partners"),
            pageLimit: section.int(
                "pageLimit", default: 200, in: 1...1000, about: "objects in one page of a list"),
            callDeadlineSeconds: section.int(
                "callDeadlineSeconds", default: 10, in: 1...120,
                about: "how long a partner may take to answer"),
            commandTimeoutSeconds: section.int(
                "commandTimeoutSeconds", default: 60, in: 10...600,
                about: "told to partners; a later answer counts as a time-out"),
            tokenGraceSeconds: Int64(
                section.int(
                    "tokenGraceSeconds", default: 600, in: 0...86_400,
                    about: "how long the token before a rotation stays valid")),
            responseHosts: Set(
                section.texts(
                    "responseHosts", about: "hosts of response_url besides the partners' own")))
        door.authorizeDeadlineSeconds = section.int(
            "authorizeDeadlineSeconds", default: 5, in: 1...30,
            about: "how long a token's eMSP may take to allow it")
        door.asksForUnknownTokens = section.bool(
            "askForUnknownTokens", default: false,
            about: "whether partners are asked for tags that nobody here knows")
        return door
    }

    private static func beckn(
        _ section: ConfigSection, name: String, publicURL: String
    ) -> Beckn {
        func seconds(_ key: String, _ fallback: Int, _ about: String) -> Int64 {
            Int64(section.int(key, default: fallback, in: 1...86_400, about: about))
        }
        let subscriber = section.text("subscriberID", about: "our id in the registries")
        let door = BecknSettings(
            subscriberID: subscriber,
            subscriberURL: section.text(
                "subscriberURL", default: publicURL + "/beckn", about: "where apps call us"),
            uniqueKeyID: section.text("uniqueKeyID", about: "id of our key in the registry"),
            domains: section.texts(
                "domains", default: ["ev-charging:beckn", "ev-charging:uei"],
                about: "domains we answer for; a closing :* matches by prefix"),
            providerID: section.text("providerID", default: subscriber, about: "in catalogues"),
            providerName: section.text("providerName", default: name, about: "in catalogues"),
            taxTitle: section.text("taxTitle", default: "gst", about: "the tax line's title"),
            quoteSeconds: seconds("quoteSeconds", 900, "how long a quote holds"),
            noShowSeconds: seconds("noShowSeconds", 900, "until a driver must have started"),
            startSeconds: seconds("startSeconds", 120, "until energy must flow after a start"),
            stopSeconds: seconds("stopSeconds", 60, "until a session must have ended after a stop"),
            cancellationFeePercent: section.int(
                "cancellationFeePercent", default: 0, in: 0...100,
                about: "kept when the driver cancels or does not come"),
            appParty: section.sectionOrNil(
                "appParty", about: "the eMSP that gets the sessions and CDRs of app drivers"
            ).map {
                PartyID(
                    country: $0.text("countryCode", about: "ISO 3166-1 alpha-2, e.g. IN"),
                    party: $0.text("partyID", about: "three characters, e.g. EMS"))
            },
            allowsPostPaid: section.bool(
                "allowsPostPaid", default: false, about: "orders paid after the charge"),
            searchLimit: section.int(
                "searchLimit", default: 50, in: 1...1000, about: "locations in one catalogue"),
            statusSeconds: seconds("statusSeconds", 15, "between two statuses of a charge"),
            supportPhone: section.textOrNil("supportPhone", about: "for drivers"),
            supportEmail: section.textOrNil("supportEmail", about: "for drivers"),
            supportURL: section.textOrNil("supportURL", about: "for drivers"),
            allowsPlainCallbacks: section.bool(
                "allowsPlainCallbacks", default: false, about: "http:// callbacks, for tests"))
        return Beckn(
            door: door, keyFile: section.path("keyFile", about: "from `kerb-cpo beckn keygen`"),
            registryFile: section.path("registry", about: "JSON file of the network's subscribers"))
    }

    private static func publicURL(_ top: ConfigSection) -> String {
        var url = top.text(
            "publicURL", default: "http://127.0.0.1:8080",
            about: "the address partners reach this program by")
        while url.hasSuffix("/") { url.removeLast() }
        if !url.hasPrefix("https://"), !url.hasPrefix("http://") {
            top.problem("publicURL", "`publicURL` must begin with https:// (or http:// in a test)")
        }
        return url
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
}
