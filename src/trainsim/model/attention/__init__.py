"""Attention: one family a file."""

from .base import Attention as Attention
from .grouped_query import GroupedQueryAttention as GroupedQueryAttention
from .latent import LatentAttention as LatentAttention
from .linear import LightningAttention as LightningAttention
from .routed import RoutedAttention as RoutedAttention
