import Crypto
import Web

/// The console's files, embedded into the program: nothing to install, nothing to find.
enum Pages {
    private struct File: Sendable {
        var type: String
        var bytes: [UInt8]
        var tag: String

        init(_ type: String, _ bytes: [UInt8]) {
            self.type = type
            self.bytes = bytes
            tag = "\"" + Hex.encode(SHA256.hash(bytes).prefix(12)) + "\""
        }
    }

    private static let script = "text/javascript; charset=utf-8"

    private static let files: [String: File] = [
        "main.js": File(script, PackageResources.main_js),
        "api.js": File(script, PackageResources.api_js),
        "dom.js": File(script, PackageResources.dom_js),
        "live.js": File(script, PackageResources.live_js),
        "access.js": File(script, PackageResources.access_js),
        "messages.js": File(script, PackageResources.messages_js),
        "onboarding.js": File(script, PackageResources.onboarding_js),
        "login.js": File(script, PackageResources.login_js),
        "stations.js": File(script, PackageResources.stations_js),
        "orders.js": File(script, PackageResources.orders_js),
        "review.js": File(script, PackageResources.review_js),
        "deliveries.js": File(script, PackageResources.deliveries_js),
        "bills.js": File(script, PackageResources.bills_js),
        "charge.js": File(script, PackageResources.charge_js),
        "sessions.js": File(script, PackageResources.sessions_js),
        "tokens.js": File(script, PackageResources.tokens_js),
        "sites.js": File(script, PackageResources.sites_js),
        "audit.js": File(script, PackageResources.audit_js),
        "alerts.js": File(script, PackageResources.alerts_js),
        "firmware.js": File(script, PackageResources.firmware_js),
        "templates.js": File(script, PackageResources.templates_js),
        "upkeep.js": File(script, PackageResources.upkeep_js),
        "privacy.js": File(script, PackageResources.privacy_js),
        "imports.js": File(script, PackageResources.imports_js),
        "style.css": File("text/css; charset=utf-8", PackageResources.style_css),
        "icon.svg": File("image/svg+xml", PackageResources.icon_svg),
    ]

    private static let shell = File("text/html; charset=utf-8", PackageResources.index_html)

    /// No inline script or style, nothing from elsewhere, no frame around us.
    private static let policy =
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        + "connect-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
        + "form-action 'self'"

    static func mount(on router: inout Router) {
        router.add("GET", "/") { _ in
            HTTPResponse(302, headers: ["Location": "/console/"])
        }
        router.add("GET", "/console") { _ in
            HTTPResponse(302, headers: ["Location": "/console/"])
        }
        router.add("GET", "/console/assets/{name}") { request in
            guard let file = files[request[parameter: "name"]] else {
                return .problem(404, "not found")
            }
            return answer(file, request)
        }
        // Every page is the same shell; the address says which one it draws.
        router.add("GET", "/console/{page...}") { answer(shell, $0) }
    }

    private static func answer(_ file: File, _ request: HTTPRequest) -> HTTPResponse {
        var headers: HTTPHeaders = [
            "Content-Type": file.type, "ETag": file.tag, "Cache-Control": "no-cache",
            "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
        ]
        if request.isTLS { headers.add("Strict-Transport-Security", "max-age=31536000") }
        if request.headers["If-None-Match"] == file.tag {
            return HTTPResponse(304, headers: headers)
        }
        return HTTPResponse(200, headers: headers, body: file.bytes)
    }
}
