"""The part of Fly's GraphQL API that flyctl still calls: schema.graphql says what there is, resolvers.py where it is
from. Reading, checking and running a query is graphql-core's."""
