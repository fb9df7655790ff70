import Charging

/// One thing that happened, in the order of commits: what every partner, page and webhook reads.
package struct JournalLine: Hashable, Sendable {
    /// What happened. Doors add their own with their prefix (`ocpi.…`, `beckn.…`).
    package struct Kind: RawRepresentable, Hashable, Sendable, ExpressibleByStringLiteral {
        package var rawValue: String
        package init(rawValue: String) { self.rawValue = rawValue }
        package init(stringLiteral value: String) { self.rawValue = value }

        // Subject of the first three: the station's id.
        package static let stationAdded: Kind = "station.added"
        package static let stationChanged: Kind = "station.changed"
        package static let stationLink: Kind = "station.link"
        /// It connects too often and is turned away, or may come again. Body: reason, until,
        /// addresses; or lifted.
        package static let stationHeld: Kind = "station.held"
        // Subject of these four: the station's id.
        /// Body: status, and the request it belongs to.
        package static let stationFirmware: Kind = "station.firmware"
        package static let stationLog: Kind = "station.log"
        /// Body: type, at, info; of any kind, as the station sent it.
        package static let stationSecurity: Kind = "station.security"
        /// A station brought a file, or a person an image. Subject: the station, else the file's id.
        package static let fileStored: Kind = "station.file"
        /// What it brought was not taken. Subject: the same. Body: file, reason.
        package static let fileRefused: Kind = "station.fileRefused"
        /// Subject: the station's id. Body: fingerprint, serial, notAfter; or reason where none was made.
        package static let stationCertificateSigned: Kind = "station.certificateSigned"
        package static let stationCertificateRevoked: Kind = "station.certificateRevoked"
        /// Subject: the campaign's id. Body: state, and why.
        package static let campaignChanged: Kind = "campaign.changed"
        /// Subject: the station's id. Body: campaign, state.
        package static let campaignStation: Kind = "campaign.station"
        /// What was asked for of a model, or what its stations said. Subject: template or station.
        package static let templateChanged: Kind = "template.changed"
        package static let stationSettings: Kind = "station.settings"
        /// Body: csr, of which a refused one shows the beginning alone; accepted, reason.
        package static let stationCertificateRequested: Kind = "station.certificateRequested"
        /// Subject: `station/connector`. Body: status, errorCode, at.
        package static let connectorStatus: Kind = "connector.status"
        /// The OCPI status of an EVSE moved. Subject: its uid. Body: location, status.
        package static let evseStatus: Kind = "evse.status"
        /// Subject: the location's id.
        package static let locationChanged: Kind = "location.changed"
        /// Subject: the tariff's id.
        package static let tariffChanged: Kind = "tariff.changed"
        package static let tariffDeleted: Kind = "tariff.deleted"
        /// Subject: the token's uid.
        package static let tokenChanged: Kind = "token.changed"
        // Subject of these three: the session's id. `updated` stands for any number of meter values.
        package static let sessionStarted: Kind = "session.started"
        package static let sessionUpdated: Kind = "session.updated"
        package static let sessionEnded: Kind = "session.ended"
        /// A person corrected or voided it. Subject: the session's id. Body: who, why, what changed.
        package static let sessionCorrected: Kind = "session.corrected"
        /// Subject: the CDR's id. Never coalesced.
        package static let cdrCreated: Kind = "cdr.created"
        /// Subject: the command's id. Body: state, station, kind of origin.
        package static let commandChanged: Kind = "command.changed"
        /// A shared site's fuses or the limits on them. Subject: the site's id.
        package static let siteChanged: Kind = "site.changed"
        /// A charging profile a station shall hold. Subject: the station's id. Body: name, state.
        package static let profileChanged: Kind = "profile.changed"
        /// Subject: the suspicion's number. Body: code, station, session.
        package static let suspicionRaised: Kind = "suspicion.raised"
    }

    /// Grows by commit order; the cursor of a reader.
    package var seq: Int64
    package var at: Timestamp
    package var kind: Kind
    package var subject: String
    /// A small JSON object; `{}` where the subject says all. Readers load the rest by subject.
    package var body: String

    package init(seq: Int64, at: Timestamp, kind: Kind, subject: String, body: String) {
        self.seq = seq
        self.at = at
        self.kind = kind
        self.subject = subject
        self.body = body
    }
}
