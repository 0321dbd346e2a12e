//! What is wrong with a double.

use serde::Deserialize;

/// One thing that a real server got wrong, or could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Defect {
    /// EXTERNAL succeeds without TLS.
    AcceptsExternalInClear,
    /// A key counts whatever the authoritative server says.
    AcceptsInvalidKeys,
    /// A key counts without a question.
    AcceptsKeysUnasked,
    /// Dialback is missing from the features.
    AdvertisesNoDialback,
    /// The answer to a key leaves by a stream of the double.
    AnswersKeysOnItsOwnStream,
    /// A malformed request gets a result.
    AnswersFaultyRequests,
    /// A request is answered on the stream that brought it.
    AnswersOnTheWayIn,
    /// The answer to a key has the addresses of the request.
    AnswersWithoutSwapping,
    /// The answer to a question has no id.
    AnswersWithoutTheId,
    /// The question about a key has another id.
    AsksForAnotherStream,
    /// Who dials is asked for no certificate.
    AsksForNoCertificate,
    /// The server name is that of the double.
    AsksForTheWrongName,
    /// The question about a key has its addresses the wrong way round.
    AsksInTheNameOfThePartner,
    /// Another `auth` is taken up after success.
    AuthenticatesTwice,
    /// An answer counts whatever its id.
    BelievesAnswersForOtherStreams,
    /// An answer counts whatever its `from`.
    BelievesAnswersFromOthers,
    /// An answer counts on a stream that a partner opened.
    BelievesAnswersOnTheWayIn,
    /// An answer counts whatever its `to`.
    BelievesAnswersToOthers,
    /// EXTERNAL succeeds whatever the certificate.
    BelievesAnyCertificate,
    /// After EXTERNAL, further domains need no verification.
    BelievesAnybodyAfterExternal,
    /// A `db:result` counts whatever its `from`.
    BelievesResultsFromOthers,
    /// A `db:result` counts whatever its `to`.
    BelievesResultsToOthers,
    /// A typed `db:result` that nobody asked for authenticates its sender.
    BelievesResultsUnasked,
    /// A `success` in place of features counts.
    BelievesSuccessUnasked,
    /// With a good certificate, any authorization identity is taken.
    BelievesTheAuthorizationIdentity,
    /// An error that cannot be delivered is returned.
    BouncesErrors,
    /// The certificate is for servers alone, in both roles.
    CertificateForServers,
    /// The certificate is that of an authority.
    CertificateOfAnAuthority,
    /// Its certificate is for another domain.
    CertificateOfAnother,
    /// The authorization identity is the partner.
    ClaimsTheNameOfThePartner,
    /// The domain of a sender only has to begin with a verified one.
    ComparesBeginningsOfSenders,
    /// A certificate for a domain that ends alike is enough.
    ComparesEndings,
    /// The domain of a sender only has to end alike.
    ComparesEndsOfSenders,
    /// The beginning of a key is enough.
    ComparesTheBeginningOfKeys,
    /// Stream ids are numbers.
    CountsStreamIds,
    /// An SRV target of `.` is ignored.
    DialsWhoHasNoService,
    /// A connection is opened only when the one before is.
    DialsOneAtATime,
    /// No certificate is shown when it dials.
    DialsWithoutCertificate,
    /// SRV records are ignored.
    DialsWithoutSrv,
    /// Characters that XML forbids are dropped.
    DropsControlCharacters,
    /// A stanza before authentication is dropped without a word.
    DropsStrangersSilently,
    /// Text between stanzas is dropped.
    DropsTextBetweenStanzas,
    /// An empty key is valid.
    EmptyKeysAreValid,
    /// The list of mechanisms may be empty.
    EmptyMechanisms,
    /// Attempts at EXTERNAL are not limited.
    EndlessAttempts,
    /// Keys on one stream are not limited.
    EndlessKeys,
    /// The stream ends at the first failure of EXTERNAL.
    EndsAtAFailure,
    /// Streams end without a stream error.
    EndsWithoutAnError,
    /// A stream error goes out before the header.
    ErrorBeforeTheHeader,
    /// Each stream error is `undefined-condition`.
    ErrorsAreUndefined,
    /// Asked about a key, it says `valid`.
    EveryKeyIsValid,
    /// After `failure` of STARTTLS it goes on in clear.
    GoesOnAfterTlsFailure,
    /// What comes in place of a new header is processed.
    GoesOnWithoutRestart,
    /// Where TLS is required and not offered, it goes on in clear.
    GoesOnWithoutTls,
    /// Its header does not declare dialback.
    HeaderWithoutDialback,
    /// Its answering header has no `from`.
    HeaderWithoutFrom,
    /// Its answering header has no `id`.
    HeaderWithoutId,
    /// Its answering header has no `version`.
    HeaderWithoutVersion,
    /// SRV records are tried in the wrong order.
    HighestPriorityFirst,
    /// Keys are compared without regard to case.
    IgnoresCapitalsOfKeys,
    /// Comments are ignored.
    IgnoresComments,
    /// The dates of certificates are ignored.
    IgnoresDates,
    /// It goes on in clear with a partner that requires TLS.
    IgnoresDemandedTls,
    /// A stanza of the local side is dropped if an earlier one had the same id.
    DropsWhatHasTheSameId,
    /// Document types are ignored.
    IgnoresDocumentTypes,
    /// Processing instructions are ignored.
    IgnoresInstructions,
    /// The names of certificates are ignored.
    IgnoresNames,
    /// An unknown element is ignored.
    IgnoresUnknownElements,
    /// A key that nobody can be asked about is `invalid`.
    InvalidWithoutAnAuthority,
    /// It takes any domain for its own.
    IsWhoeverIsMeant,
    /// The features from before TLS stay.
    KeepsFeaturesFromBeforeTls,
    /// The id stays the same over restarts.
    KeepsItsStreamId,
    /// The `from` of the first header stays.
    KeepsTheNameFromBeforeTls,
    /// The parts of a key run together.
    KeyOfRunTogetherParts,
    /// The key is for the stream before TLS.
    KeyOfTheFirstStream,
    /// The key does not depend on the domains.
    KeyWithoutDomains,
    /// The key does not depend on the stream.
    KeyWithoutId,
    /// The key takes no secret.
    KeyWithoutSecret,
    /// Required TLS is not marked.
    LeavesRequiredOut,
    /// The end of a stream is not answered.
    LeavesTheEndUnanswered,
    /// Offered TLS is not used.
    LeavesTlsUnused,
    /// No server name is sent.
    NamesNobody,
    /// A certificate without a common name is not good.
    NeedsACommonName,
    /// A stanza without `to` is delivered.
    NeedsNoRecipient,
    /// A stanza without `from` is delivered.
    NeedsNoSender,
    /// Nothing is returned.
    NeverBounces,
    /// Asked about its own key, it says `invalid`.
    NoKeyIsValid,
    /// After success no new stream is opened.
    NoRestartAfterSuccess,
    /// EXTERNAL is offered without TLS.
    OffersExternalInClear,
    /// EXTERNAL is offered whatever the certificate.
    OffersExternalToAnybody,
    /// EXTERNAL is not offered to a good certificate.
    OffersNoExternal,
    /// STARTTLS is offered where TLS is off.
    OffersTlsAlways,
    /// STARTTLS is offered under TLS.
    OffersTlsInTls,
    /// Only the first SRV record is tried.
    OneServerOnly,
    /// All local domains share one stream.
    OneStreamForAllSenders,
    /// All streams have the same id.
    OneStreamId,
    /// Its initial header has an `id`.
    OwnHeaderWithId,
    /// Its initial header has no `from`.
    OwnHeaderWithoutFrom,
    /// Its initial header has no `to`.
    OwnHeaderWithoutTo,
    /// Its initial header has no `version`.
    OwnHeaderWithoutVersion,
    /// EXTERNAL is not used where it is offered.
    PrefersDialback,
    /// Bytes behind `proceed` count as sent under TLS.
    ReadsOnBehindProceed,
    /// Bytes behind `starttls` count as sent under TLS.
    ReadsOnBehindStarttls,
    /// Refused EXTERNAL ends the stream without a `failure`.
    RefusesWithoutAWord,
    /// A stanza is delivered before authentication.
    RelaysStrangers,
    /// A stanza for a foreign domain is passed on to it.
    RelaysToAnybody,
    /// Bytes that are no UTF-8 are replaced.
    ReplacesInvalidBytes,
    /// Each member of the pool has a secret of its own.
    SecretOfItsOwn,
    /// Stanzas are delivered while their key is being verified.
    SendsBeforeTheAnswer,
    /// A key goes out before the features.
    SendsBeforeTheFeatures,
    /// Stanzas go out before the key is accepted.
    SendsBeforeTheResult,
    /// A key that nobody can be asked about is not answered.
    SilentWithoutAnAuthority,
    /// A local sender may use any domain.
    SpeaksForAnybody,
    /// After a stream error the connection stays.
    StaysAfterErrors,
    /// After `invalid` the stream stays.
    StaysAfterInvalid,
    /// Each stanza gets a stream of its own.
    StreamForEachStanza,
    /// Addresses may have any form.
    TakesAnyAddress,
    /// A verified sender may send to any domain of the double.
    TakesAnyDomainOfOurs,
    /// Any mechanism is taken for EXTERNAL.
    TakesAnyMechanism,
    /// A verified stream may send in any name.
    TakesAnySender,
    /// A `db:result` of type `error` counts as valid.
    TakesErrorsForValid,
    /// A `db:result` of type `invalid` counts as valid.
    TakesInvalidForValid,
    /// Where TLS is required, a key in clear is verified.
    TakesKeysInClear,
    /// Keys are verified although dialback is off.
    TakesKeysWithoutDialback,
    /// Required TLS is optional.
    TakesRequiredForOptional,
    /// Stanzas count on a stream that the double opened.
    TakesStanzasTheWrongWay,
    /// A `db:result` of an unknown type counts as valid.
    TakesUnknownAnswersForValid,
    /// EXTERNAL is used whatever the certificate of the server.
    TrustsAnyServer,
    /// Certificates of any authority are good.
    TrustsEveryAuthority,
    /// Dialback is used although it is off.
    UsesDialbackAlways,
    /// EXTERNAL is used without TLS.
    UsesExternalInClear,
    /// Keys are verified without TLS, even where it is required.
    VerifiesInClear,
    /// A server that does not answer is waited for as long as a whole negotiation may take.
    WaitsForOneServer,
    /// Strangers may stay as long as they like.
    WaitsForStrangers,
    /// A wildcard covers names of any depth.
    WildcardAtAnyDepth,
    /// A wildcard covers its parent.
    WildcardForItsParent,
}
