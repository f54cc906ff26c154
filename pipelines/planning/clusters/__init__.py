"""core/dim_store and sales -> planning/store_feature, store_cluster, store_cluster_member, cluster_diagnostic."""
