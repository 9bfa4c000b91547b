"""Bilingual language-model pre-training that watches, explains and corrects itself."""
