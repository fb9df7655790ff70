import Charging
import JSON
import OCPP

/// The operator installs a root the station is to trust. Security white paper §6.
enum InstallCertificate {
    static let action = "InstallCertificate"
    static let answer = StatusAnswer(words: ["Accepted", "Failed", "Rejected"])
    static let certificateCharacters = 5500
    static let kinds = Words<RootKind>([
        ("CentralSystemRootCertificate", .centralSystem),
        ("ManufacturerRootCertificate", .manufacturer),
    ])

    static func write(_ kind: RootKind, _ pem: String, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("certificate", pem)
            w.member("certificateType", kind.rawValue)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var (kind, foreign, pem): (RootKind?, String?, String?) = (nil, nil, nil)
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "certificateType") {
                kind = try f.word(&r, "certificateType", kinds, foreign: &foreign)
            } else if r.matches(key, "certificate") {
                pem = try f.text(&r, "certificate", maximum: certificateCharacters)
            } else {
                try f.unknown(&r)
            }
        }
        // Trusting a root for something else than it was meant for is no leniency.
        if foreign != nil { throw CallError(.propertyViolation, "certificateType is unknown") }
        let root = try fields.required(kind, "certificateType")
        let text = try fields.required(pem, "certificate")
        try fields.refuseCut()
        return Decoded(.maintenance(.installRoot(root, pem: text)), fields.deviations)
    }
}

/// The operator asks which roots of one kind are installed. Security white paper §6.
enum GetInstalledCertificateIds {
    static let action = "GetInstalledCertificateIds"
    static let mostCertificates = 100

    static func write(_ kind: RootKind, _ writer: inout JSONWriter) {
        writer.object { w in w.member("certificateType", kind.rawValue) }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var (kind, foreign): (RootKind?, String?) = (nil, nil)
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "certificateType") {
                kind = try f.word(
                    &r, "certificateType", InstallCertificate.kinds, foreign: &foreign)
            } else {
                try f.unknown(&r)
            }
        }
        if foreign != nil { throw CallError(.propertyViolation, "certificateType is unknown") }
        return Decoded(
            .maintenance(.listRoots(try fields.required(kind, "certificateType"))),
            fields.deviations)
    }

    static func write(_ roots: [CertificateHash], _ writer: inout JSONWriter) {
        writer.object { w in
            if !roots.isEmpty {
                w.key("certificateHashData")
                w.array { w in for root in roots { DeleteCertificate.write(root, &w) } }
            }
            w.member("status", roots.isEmpty ? "NotFound" : "Accepted")
        }
    }

    static func answer(in payload: RawSpan) throws(CallError) -> Decoded<CommandAnswer> {
        var roots: [CertificateHash] = []
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "certificateHashData") {
                try f.list(&r, "certificateHashData", maximum: mostCertificates) {
                    r, f throws(JSONError) in
                    if let root = try DeleteCertificate.readHash(&r, &f) { roots.append(root) }
                }
            } else if r.matches(key, "status") {
                // The list says it already.
                _ = try f.text(&r, "status", maximum: OCPPLimits.textCharacters)
            } else {
                try f.unknown(&r)
            }
        }
        try fields.checked()
        return Decoded(.maintenance(.roots(roots)), fields.deviations)
    }
}

/// The operator removes a root. Security white paper §6.
enum DeleteCertificate {
    static let action = "DeleteCertificate"
    static let answer = StatusAnswer(words: ["Accepted", "NotFound", "Failed"])
    static let hashCharacters = 128
    static let serialCharacters = 40
    private static let algorithms = Words<CertificateHash.Algorithm>([
        ("SHA256", .sha256), ("SHA384", .sha384), ("SHA512", .sha512),
    ])

    static func write(_ hash: CertificateHash, _ writer: inout JSONWriter) {
        writer.object { w in
            w.member("hashAlgorithm", hash.algorithm.rawValue)
            w.member("issuerKeyHash", hash.issuerKey)
            w.member("issuerNameHash", hash.issuerName)
            w.member("serialNumber", hash.serial)
        }
    }

    static func write(deletion hash: CertificateHash, _ writer: inout JSONWriter) {
        writer.object { w in
            w.key("certificateHashData")
            write(hash, &w)
        }
    }

    static func command(in payload: RawSpan) throws(CallError) -> Decoded<StationCommand> {
        var hash: CertificateHash?
        let fields = try FieldReader.read(payload) { r, key, f throws(JSONError) in
            if r.matches(key, "certificateHashData") {
                hash = try readHash(&r, &f)
            } else {
                try f.unknown(&r)
            }
        }
        let found = try fields.required(hash, "certificateHashData")
        try fields.refuseCut()
        return Decoded(.maintenance(.deleteCertificate(found)), fields.deviations)
    }

    /// nil where a part is missing.
    @_lifetime(reader: copy reader)
    static func readHash(_ reader: inout JSONReader, _ fields: inout FieldReader)
        throws(JSONError) -> CertificateHash?
    {
        var (algorithm, foreign): (CertificateHash.Algorithm?, String?) = (nil, nil)
        var (name, issuerKey, serial): (String?, String?, String?) = (nil, nil, nil)
        _ = try fields.object(&reader, "certificateHashData") { r, key, f throws(JSONError) in
            if r.matches(key, "hashAlgorithm") {
                algorithm = try f.word(&r, "hashAlgorithm", algorithms, foreign: &foreign)
            } else if r.matches(key, "issuerNameHash") {
                name = try f.text(&r, "issuerNameHash", maximum: hashCharacters)
            } else if r.matches(key, "issuerKeyHash") {
                issuerKey = try f.text(&r, "issuerKeyHash", maximum: hashCharacters)
            } else if r.matches(key, "serialNumber") {
                serial = try f.text(&r, "serialNumber", maximum: serialCharacters)
            } else {
                try f.unknown(&r)
            }
        }
        guard let algorithm, let name, let issuerKey, let serial else { return nil }
        return CertificateHash(
            algorithm: algorithm, issuerName: name.lowercased(), issuerKey: issuerKey.lowercased(),
            serial: serial.lowercased())
    }
}
