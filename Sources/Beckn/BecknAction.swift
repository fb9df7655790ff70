/// The requests of a BAP. Beckn core 1.1, transaction and meta API.
package enum BecknAction: String, Hashable, Sendable, Codable, CaseIterable {
    case search, select, initialise = "init", confirm, status, track, cancel, update, rating,
        support
    case getCancellationReasons = "get_cancellation_reasons"
    case getReturnReasons = "get_return_reasons"
    case getRatingCategories = "get_rating_categories"

    /// The action of the answer; meta answers carry no `on_`.
    package var callback: BecknCallback {
        switch self {
        case .search: .onSearch
        case .select: .onSelect
        case .initialise: .onInit
        case .confirm: .onConfirm
        case .status: .onStatus
        case .track: .onTrack
        case .cancel: .onCancel
        case .update: .onUpdate
        case .rating: .onRating
        case .support: .onSupport
        case .getCancellationReasons: .cancellationReasons
        case .getReturnReasons: .returnReasons
        case .getRatingCategories: .ratingCategories
        }
    }

    /// Money hangs on it: answered even when its ttl has run out. Facts §5.
    var isAboutMoney: Bool {
        switch self {
        case .confirm, .cancel, .update: true
        case .search, .select, .initialise, .status, .track, .rating, .support,
            .getCancellationReasons, .getReturnReasons, .getRatingCategories:
            false
        }
    }
}

/// What we call at the BAP.
package enum BecknCallback: String, Hashable, Sendable, Codable, CaseIterable {
    case onSearch = "on_search"
    case onSelect = "on_select"
    case onInit = "on_init"
    case onConfirm = "on_confirm"
    case onStatus = "on_status"
    case onTrack = "on_track"
    case onCancel = "on_cancel"
    case onUpdate = "on_update"
    case onRating = "on_rating"
    case onSupport = "on_support"
    case cancellationReasons = "cancellation_reasons"
    case returnReasons = "return_reasons"
    case ratingCategories = "rating_categories"

    /// Lost with it would be money or a contract: tried for a week; the rest for a few minutes.
    var isAboutMoney: Bool {
        switch self {
        case .onConfirm, .onCancel, .onUpdate, .onStatus: true
        case .onSearch, .onSelect, .onInit, .onTrack, .onRating, .onSupport, .cancellationReasons,
            .returnReasons, .ratingCategories:
            false
        }
    }

    /// The schemas of these demand `message` even beside an error. Facts §2.
    var needsMessage: Bool {
        switch self {
        case .onRating, .cancellationReasons, .returnReasons, .ratingCategories: true
        case .onSearch, .onSelect, .onInit, .onConfirm, .onStatus, .onTrack, .onCancel, .onUpdate,
            .onSupport:
            false
        }
    }
}
