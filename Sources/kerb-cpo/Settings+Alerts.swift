import Alerts
import CPO
import Charging
import HTTPClient
import Service

extension Settings {
    /// What `alerts` says: when somebody is told, and over which ways.
    struct Alarms: Sendable {
        var rules: AlertSettings
        var mail: Mail?
        var webhook: Webhook?

        struct Mail: Sendable {
            var url: String
            var from: String
            var to: [String]
            var user: String?
            var passwordFile: String?
            var caFile: String?
            var allowsPlain: Bool
        }

        struct Webhook: Sendable {
            var urlFile: String
            var tokenFile: String?
            var caFile: String?
            var allowsPlain: Bool
        }

        func channels(
            _ house: ChargePointOperator, publicURL: String
        ) throws -> [any AlertChannel] {
            var found: [any AlertChannel] = []
            if let mail {
                var server = MailSender.Configuration(url: mail.url)
                server.user = mail.user
                server.password = try mail.passwordFile.map { try Self.secret($0) }
                server.caFile = mail.caFile
                server.allowsPlain = mail.allowsPlain
                found.append(
                    MailChannel(
                        MailSender(server), from: mail.from, to: mail.to,
                        house: house.settings.name,
                        publicURL: publicURL))
            }
            if let webhook {
                // The operator's own place: wherever it stands.
                var rules = HostRules.open
                rules.allowsPlain = webhook.allowsPlain
                found.append(
                    WebhookChannel(
                        HTTPClient(.init(rules: rules, caFile: webhook.caFile)),
                        url: try Self.secret(webhook.urlFile),
                        token: try webhook.tokenFile.map { try Self.secret($0) },
                        house: house.settings.name))
            }
            return found
        }

        /// The first line of a file.
        private static func secret(_ path: String) throws -> String {
            let text = String(decoding: try FileSystem.read(path), as: UTF8.self)
            return String(text.prefix { !$0.isNewline })
        }
    }

    static func alarms(_ top: ConfigSection, zone: String) -> Alarms {
        let section = top.section("alerts", about: "what a person is told")
        var rules = AlertSettings()
        rules.offlineSeconds =
            60 * minutes(section, "offlineMinutes", 15, "a charger without a link")
        rules.faultedSeconds =
            60 * minutes(section, "faultedMinutes", 15, "a connector out of order")
        rules.moneySeconds =
            60 * minutes(section, "moneyMinutes", 1440, "an entry of the review list")
        rules.deliverySeconds =
            60 * minutes(section, "deliveryMinutes", 360, "a bill that a partner does not take")
        // A zone that cannot be read was told at its own key, `timeZone`.
        rules.zone = (try? ZoneInfo.load(zone)).flatMap { try? LocalTimeRules(tzif: $0) } ?? .utc
        if let text = section.textOrNil(
            "quietHours", about: "HH:MM-HH:MM in `timeZone`; told when they are over")
        {
            rules.quietHours = AlertSettings.QuietHours(text)
            if rules.quietHours == nil {
                section.problem("quietHours", "`quietHours` must look like 22:00-06:30")
            }
        }
        return Alarms(
            rules: rules,
            mail: section.sectionOrNil("mail", about: "over a mail server").map(mail),
            webhook: section.sectionOrNil("webhook", about: "a POST of JSON").map(webhook))
    }

    private static func minutes(
        _ section: ConfigSection, _ key: String, _ standard: Int, _ what: String
    ) -> Int64 {
        Int64(
            section.int(
                key, default: standard, in: 1...43_200, about: "\(what) is told after this"))
    }

    private static func mail(_ section: ConfigSection) -> Alarms.Mail {
        let url = section.text("url", about: "smtps://HOST:465, or smtp://HOST:587 with STARTTLS")
        if !section.isSchema, !url.hasPrefix("smtp://"), !url.hasPrefix("smtps://") {
            section.problem("url", "`url` must begin with smtps:// or smtp://")
        }
        let from = section.text("from", about: "the sender's address")
        let to = section.texts("to", default: [], about: "who is told")
        if !section.isSchema {
            for (key, address) in [("from", from)] + to.map({ ("to", $0) })
            where !MailSender.isAddress(address) {
                section.problem(key, "`\(key)`: `\(address)` is no mail address")
            }
            if to.isEmpty { section.problem("to", "`to` needs at least one mail address") }
        }
        return Alarms.Mail(
            url: url, from: from, to: to,
            user: section.textOrNil("user", about: "of the mail server"),
            passwordFile: section.pathOrNil("passwordFile", about: "its password, mode 0600"),
            caFile: section.pathOrNil("caFile", about: "PEM instead of the system's authorities"),
            allowsPlain: section.bool(
                "allowPlain", default: false, about: "without TLS where the server has none"))
    }

    private static func webhook(_ section: ConfigSection) -> Alarms.Webhook {
        Alarms.Webhook(
            urlFile: section.path("urlFile", about: "file with the URL, which may be secret"),
            tokenFile: section.pathOrNil("tokenFile", about: "sent as a bearer token"),
            caFile: section.pathOrNil("caFile", about: "PEM instead of the system's authorities"),
            allowsPlain: section.bool(
                "allowPlain", default: false, about: "http:// as well as https://"))
    }
}
