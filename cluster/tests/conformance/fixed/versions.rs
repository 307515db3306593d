//! What is served at all.

use super::Sequence;
use crate::pair::Pair;
use crate::requests::text;
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, DescribeClusterRequest, RequestKind};

pub(super) const ALL: &[Sequence] = &[
    ("versions::apis_and_features", apis_and_features),
    ("versions::software_names", software_names),
    ("versions::the_cluster_in_every_version", the_cluster_in_every_version),
];

fn named(name: &str, version: &str) -> RequestKind {
    let request = ApiVersionsRequest::default().with_client_software_name(text(name));
    request.with_client_software_version(text(version)).into()
}

fn apis_and_features(pair: &mut Pair<'_>) {
    for version in 0..=2 {
        pair.ask(ApiKey::ApiVersions, version, |_| ApiVersionsRequest::default().into());
    }
    for version in 3..=4 {
        pair.ask(ApiKey::ApiVersions, version, |_| named("conformance", "1.0"));
    }
}

fn software_names(pair: &mut Pair<'_>) {
    for (name, version) in [("", ""), ("a", ""), ("", "1"), ("-a", "1"), ("a", "1-"), ("a b", "1"), ("a.b-c", "1.0-2")]
    {
        pair.ask(ApiKey::ApiVersions, 3, |_| named(name, version));
    }
}

fn the_cluster_in_every_version(pair: &mut Pair<'_>) {
    for version in 0..=2 {
        for authorized in [false, true] {
            pair.ask(ApiKey::DescribeCluster, version, |_| {
                let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(authorized);
                if version >= 1 { request.with_endpoint_type(1).into() } else { request.into() }
            });
        }
    }
    for endpoints in [2, 3] {
        pair.ask(ApiKey::DescribeCluster, 1, |_| {
            DescribeClusterRequest::default().with_endpoint_type(endpoints).into()
        });
    }
}
