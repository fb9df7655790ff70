import Charging

/// What the OCPI door needs to know of the operator, with the defaults of `Config/cpo.yaml`.
package struct OCPISettings: Hashable, Sendable {
    /// What partners reach us by, up to and with `/ocpi`, without a slash at the end. It goes into
    /// version details, credentials and `Link` headers, so it is the public scheme and host.
    package var publicURL: String
    /// The operator's web page, for partners that insist on one.
    package var website: String?
    /// Objects a list gives at most; sent as `X-Limit`.
    package var pageLimit: Int
    /// How long a partner may take to answer one call.
    package var callDeadlineSeconds: Int
    /// What a partner is told to wait for a command's result. We send TIMEOUT ourselves a little before.
    package var commandTimeoutSeconds: Int
    /// How long the token before a rotation stays valid, unless the new one is used earlier.
    package var tokenGraceSeconds: Int64
    /// Hosts a `response_url` may have besides those of the partner's own endpoints.
    package var responseHosts: Set<String>
    /// How long a partner may take to say whether its driver may charge; the house counts it.
    package var authorizeDeadlineSeconds = 5
    /// Whether partners are asked for tags that nobody here knows.
    package var asksForUnknownTokens = false

    package init(
        publicURL: String, website: String? = nil, pageLimit: Int = 200,
        callDeadlineSeconds: Int = 10, commandTimeoutSeconds: Int = 60,
        tokenGraceSeconds: Int64 = 600, responseHosts: Set<String> = []
    ) {
        self.publicURL = publicURL
        self.website = website
        self.pageLimit = pageLimit
        self.callDeadlineSeconds = callDeadlineSeconds
        self.commandTimeoutSeconds = commandTimeoutSeconds
        self.tokenGraceSeconds = tokenGraceSeconds
        self.responseHosts = responseHosts
    }
}
