import Alerts
import Beckn
import CPO
import CSMS
import Charging
import Console
import Crypto
import Glibc
import HTTPClient
import JSON
import OCPI
import SQL
import SQLPostgres
import Service
import Web

/// A whole site on loopback with nothing to set up: for a first look, for training, for the journey.
///
/// Everything lies in one folder that can be thrown away. A second start finds it as it was.
struct Demo: Sendable {
    let folder: String
    let port: Int
    let isNew: Bool

    init(_ invocation: CommandTable.Invocation) throws {
        if invocation.value("--config") != nil {
            throw Program.Failure(
                code: .usage, text: "--demo has no configuration; leave --config out")
        }
        folder = invocation.value("--data") ?? "kerb-demo"
        guard let port = Int(invocation.value("--port") ?? "8080"), (1...65_534).contains(port)
        else { throw Program.Failure(code: .usage, text: "--port must be from 1 to 65534") }
        self.port = port
        try FileSystem.makeFolder(folder)
        isNew = !FileSystem.exists("\(folder)/kerb.sqlite")
        try makeCertificates()
    }

    /// One plain port for people and partners; chargers use TLS beside it.
    func settings() throws -> Settings {
        let tls = TLSListener(
            certificateFile: "\(folder)/server.pem", keyFile: "\(folder)/server-key.pem")
        return Settings(
            listeners: [
                Listener(name: "main", port: port),
                Listener(
                    name: "stations", port: port + 1, tls: tls,
                    pathPrefixes: Settings.Area.ocpp.prefixes),
            ], database: database, readers: 2,
            publicURL: "http://127.0.0.1:\(port)", timeZone: "Asia/Kolkata",
            house: OperatorSettings(
                party: Self.party, name: "Kerb Demo", currency: "INR", unknownStations: .adopt,
                adoptionLocation: Self.locationID, heartbeatIntervalSeconds: 60),
            ocpp: Settings.OCPP(
                lowestSecurityProfile: 0, pingSeconds: 20,
                stationsURL: "wss://127.0.0.1:\(port + 1)/ocpp", caFile: "\(folder)/ca.pem",
                connectsAnHour: 0),
            ocpi: OCPISettings(publicURL: "http://127.0.0.1:\(port)/ocpi"), beckn: try beckn(),
            outgoing: Settings.Outgoing(rules: .open, caFile: nil),
            alerts: Settings.Alarms(rules: AlertSettings()),
            upkeep: Settings.Upkeep(
                files: FileSettings(
                    folder: "\(folder)/files", url: "http://127.0.0.1:\(port)"), authority: nil),
            drainSeconds: 2)
    }

    /// A file in the folder, or what `KERB_DATABASE` says as it does over a configuration.
    private var database: DatabasePlace {
        guard let given = getenv("KERB_DATABASE").map({ String(cString: $0) }),
            PostgreSQLAddress.isOne(given)
        else { return .sqlite(path: "\(folder)/kerb.sqlite") }
        return .postgresql(url: given, passwordFile: nil)
    }

    /// A network of its own: our key and record are made once; apps add theirs to the registry file.
    private func beckn() throws -> Settings.Beckn {
        let keyFile = "\(folder)/beckn-key"
        let registryFile = "\(folder)/beckn-registry.json"
        let door = BecknSettings(
            subscriberID: "bpp.kerb.demo", subscriberURL: "http://127.0.0.1:\(port)/beckn",
            uniqueKeyID: "demo", providerID: "kerb-demo", providerName: "Kerb Demo",
            appParty: PartyID(country: "IN", party: "EMS"), statusSeconds: 2,
            supportPhone: "+91 11 0000 0000", supportEmail: "help@kerb.demo",
            supportURL: "http://127.0.0.1:\(port)/", allowsPlainCallbacks: true)
        if !FileSystem.exists(keyFile) {
            try FileSystem.writeAtomically(
                Array(BecknKeyPair.generate().privateKeyText.utf8), to: keyFile)
        }
        let key = try BecknKeyPair.privateKey(
            String(decoding: FileSystem.read(keyFile), as: UTF8.self))
        var records: [JSONValue] = []
        if FileSystem.exists(registryFile) {
            let known = try JSONValue(parsing: FileSystem.read(registryFile))
            records = (known["subscribers"] ?? known).array ?? []
        }
        let own: JSONValue = [
            "subscriber_id": .string(door.subscriberID), "type": "BPP",
            "url": .string(door.subscriberURL), "unique_key_id": .string(door.uniqueKeyID),
            "signing_public_key": .string(Base64.encode(key.publicKey.bytes)),
        ]
        if !records.contains(own) {
            records.removeAll { $0["subscriber_id"] == own["subscriber_id"] }
            records.append(own)
            try FileSystem.writeAtomically(
                JSONValue.array(records).encoded(), to: registryFile, mode: 0o644)
        }
        return Settings.Beckn(door: door, keyFile: keyFile, registryFile: registryFile)
    }

    /// Puts the samples where they are missing.
    func furnish(_ house: ChargePointOperator) async throws {
        let now = house.clock.now
        try await house.write { transaction in
            for tariff in Self.tariffs(at: now) where house.tariffs.tariff(tariff.id) == nil {
                try house.tariffs.put(tariff, at: now, in: transaction)
            }
            if house.locations.location(Self.locationID) == nil {
                try house.locations.put(Self.location(at: now), at: now, in: transaction)
            }
            for token in Self.tokens(at: now) {
                let known = try house.tokens.find(
                    uid: token.uid, party: token.party, kind: token.kind, in: transaction)
                if known == nil { try house.tokens.put(token, at: now, in: transaction) }
            }
        }
    }

    /// An invitation for one eMSP, so that a partner can be tried without a hand: token and address.
    func invite(_ door: OCPIDoor) async throws {
        let file = "\(folder)/demo-ocpi-invite"
        guard !FileSystem.exists(file) else { return }
        let invitation = try await door.invite("Demo eMSP")
        let text: JSONValue = [
            "token": .string(invitation.tokenA), "versionsURL": .string(invitation.versionsURL),
        ]
        try FileSystem.writeAtomically(text.encoded(), to: file)
    }

    /// A log-in and a key for the API, made once and left in the folder.
    func open(_ console: Console) async throws {
        if !FileSystem.exists(loginFile) {
            let password = try await console.users.put("demo", role: .admin)
            let text: JSONValue = ["user": "demo", "password": .string(password)]
            try FileSystem.writeAtomically(text.encoded(), to: loginFile)
        }
        let keyFile = "\(folder)/demo-api-key"
        if !FileSystem.exists(keyFile) {
            let key = try await console.keys.add("demo", role: .admin)
            try FileSystem.writeAtomically(Array(key.utf8), to: keyFile)
        }
    }

    private var loginFile: String { "\(folder)/demo-console-login" }

    private var login: String {
        // Taken away or unreadable: then its place is all there is to say.
        guard let bytes = try? FileSystem.read(loginFile),
            let text = try? JSONValue(parsing: bytes), let user = text["user"]?.string,
            let password = text["password"]?.string
        else { return "see \(loginFile)" }
        return "\(user) / \(password)"
    }

    func welcome(_ addresses: [BoundAddress]) {
        for address in addresses {
            switch address.name {
            case "main":
                print("console   http://127.0.0.1:\(address.port)/console/")
                print("log-in    \(login)")
                print("API key   \(folder)/demo-api-key")
            default:
                print("chargers  wss://127.0.0.1:\(address.port)/ocpp/ID (CA: \(folder)/ca.pem)")
            }
        }
        // Somebody may be waiting for these lines in a pipe.
        fflush(nil)
    }

    // MARK: Certificates

    /// A throw-away CA and a server certificate for loopback, made once.
    private func makeCertificates() throws {
        let names = ["ca.pem", "server.pem", "server-key.pem"].map { "\(folder)/\($0)" }
        guard !names.allSatisfy(FileSystem.exists) else { return }
        let authority = try CertificateAuthority(commonName: "Kerb demo CA", validDays: 365)
        let server = try authority.issueServer(
            commonName: "localhost", names: [.dns("localhost"), .ip("127.0.0.1")], validDays: 365)
        try FileSystem.writeAtomically(
            Array(server.privateKeyPEM.utf8), to: names[2], mode: 0o600)
        try FileSystem.writeAtomically(
            Array(server.certificatePEM.utf8), to: names[1], mode: 0o644)
        try FileSystem.writeAtomically(
            Array(authority.certificatePEM().utf8), to: names[0], mode: 0o644)
    }

    // MARK: Samples

    static let party = PartyID(country: "IN", party: "KRB")
    static let locationID = "DEMO"

    /// N-19: 18 and 25 INR per kWh, with 18 % tax.
    static func tariffs(at now: Timestamp) -> [Tariff] {
        [("DEMO-AC1", Int64(18)), ("DEMO-AC3", 25)].map { id, price in
            Tariff(
                party: party, id: id, currency: "INR", kind: "REGULAR",
                texts: [.init(language: "en", text: "\(price).00 INR per kWh, plus 18 % GST")],
                elements: [
                    .init(components: [
                        .init(.energy, price: Decimal(price), vat: Decimal(18))
                    ])
                ], lastUpdated: now)
        }
    }

    /// Tied to the first charger that connects: its connector 1 is the 22 kW socket.
    static func location(at now: Timestamp) -> Location {
        let three = Connector(
            id: "1", standard: "IEC_62196_T2", format: "SOCKET", powerType: "AC_3_PHASE",
            maxVoltage: 230, maxAmperage: 32, maxElectricPower: 22_000, tariffIDs: ["DEMO-AC3"],
            lastUpdated: now)
        let single = Connector(
            id: "1", standard: "IEC_62196_T2", format: "SOCKET", powerType: "AC_1_PHASE",
            maxVoltage: 230, maxAmperage: 32, maxElectricPower: 7_400, tariffIDs: ["DEMO-AC1"],
            lastUpdated: now)
        let evses = [three, single].enumerated().map { index, connector in
            EVSE(
                uid: "DEMO-\(index + 1)", evseID: "IN*KRB*EDEMO*\(index + 1)", status: .unknown,
                connectors: [connector],
                capabilities: [
                    "REMOTE_START_STOP_CAPABLE", "RFID_READER", "CHARGING_PROFILE_CAPABLE",
                ],
                physicalReference: "Bay \(index + 1)", lastUpdated: now)
        }
        return Location(
            party: party, id: locationID, name: "Kerb Demo Yard", address: "12 Ring Road",
            city: "Delhi", postalCode: "110009", country: "IND",
            coordinates: Coordinates(
                latitude: Decimal(significand: 287_041, scale: 4),
                longitude: Decimal(significand: 771_025, scale: 4)),
            timeZone: "Asia/Kolkata", evses: evses, lastUpdated: now)
    }

    static func tokens(at now: Timestamp) -> [Token] {
        [("DEMO-CARD-1", true), ("DEMO-CARD-2", true), ("DEMO-BLOCKED", false)].map {
            uid, isValid in
            Token(
                party: party, uid: uid, kind: .rfid, contractID: "IN-KRB-\(uid)",
                issuer: "Kerb Demo", isValid: isValid, lastUpdated: now)
        }
    }
}
